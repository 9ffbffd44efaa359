"""Phones come and go in a trusted network (auth = "none"): who hears of it, and what phones are told."""
import time

import pytest

from toolkit.endpoint import poll
from toolkit.sip import Uri


def uris(answer):
    return sorted(c.uri for c in answer.contacts)


# -- the first one goes up -------------------------------------------------------------------
def test_first_register_goes_up_with_the_long_expiry_and_our_contact(house):
    house.start(upstream_expires=600)
    al = house.registered("al")
    sent = house.registrar.wait_register("al")
    contact = Uri(sent.contact)
    assert contact.place == house.midreg.address and contact.place != al.address
    assert len(contact.params["mr"]) == 13
    assert sent.expires == 600 and sent.request.contacts[0].expires == 600
    assert len(sent.request.contacts) == 1


def test_register_upstream_is_well_formed(house):
    house.start()
    house.registered("al")
    request = house.registrar.wait_register("al").request
    assert request.uri == "sip:example.com"
    assert request.get("cseq").endswith(" REGISTER") and request.cseq > 0
    assert request.branch.startswith("z9hG4bK") and len(request.all("via")) == 1
    assert 0 < int(request.get("max-forwards")) <= 70
    assert request.from_.tag and not request.to.tag and request.call_id
    assert request.to.uri == "sip:al@example.com"
    for header in ("require", "path", "user-agent-of-the-phone"):
        assert not request.has(header)


def test_row12_the_contact_upstream_names_the_user_cleanly(house):
    house.start()
    house.registered("al.b-c_d~e+1")
    assert Uri(house.registrar.wait_register("al.b-c_d~e+1").contact).user == "al.b-c_d~e+1"


@pytest.mark.parametrize("user", ["al%40example.net", "a%20b", "a&b"])
def test_row12_no_escape_stands_in_what_the_main_registrar_sees(house, user):
    """It would write it into its CDRs, or undo it."""
    house.start()
    al = house.registered(user)
    sent = house.registrar.registers[-1]
    assert "%" not in sent.contact and sent.contact.count("@") == 1
    call = house.registrar.call_contact(sent.contact)
    assert "%" not in call.invite.get("to")
    al.refuse(al.wait_invite(call), 486)
    assert call.final().status == 486


def test_a_user_with_other_characters_is_named_by_its_token(house):
    house.start()
    house.registered("al!x")
    contact = Uri(house.registrar.wait_register("al!x").contact)
    assert contact.user == contact.params["mr"]


def test_the_contact_is_unique_to_the_identity(house):
    house.start()
    for user in ("al", "bo"):
        house.registered(user)
    al, bo = (Uri(house.registrar.wait_register(u).contact) for u in ("al", "bo"))
    assert al.params["mr"] != bo.params["mr"]
    assert len(house.registrar.contacts("al")) == len(house.registrar.contacts("bo")) == 1


def test_the_first_200_waits_for_the_main_registrar(house):
    house.start()
    house.registrar.held = []
    phone = house.phone()
    request = phone.register_request()
    phone.send(request, phone.server)
    house.registrar.wait_register("al")
    assert phone.received(lambda m: m.status >= 200) == []
    house.registrar.release()
    assert phone.final(request, phone.server).status == 200


def test_two_phones_of_a_new_identity_at_once_cost_one_register_upstream(house):
    house.start()
    house.registrar.held = []
    phones = [house.phone("al"), house.phone("al")]
    requests = [p.register_request() for p in phones]
    for phone, request in zip(phones, requests):
        phone.send(request, phone.server)
    house.registrar.wait_register("al")
    house.registrar.release()
    answers = [p.final(r, p.server) for p, r in zip(phones, requests)]
    assert [a.status for a in answers] == [200, 200]
    house.fence()
    assert len(house.registrar.of("al")) == 1
    assert uris(phones[0].register()) == sorted(p.uri for p in phones)


# -- what the phone is told ------------------------------------------------------------------
def test_the_200_carries_the_short_expiry_and_a_date(house):
    house.start(phone_expires=60)
    al = house.phone()
    answer = al.register(3600)
    assert uris(answer) == [al.uri] and answer.contact(al.uri).expires == 60
    assert answer.get("date").endswith(" GMT")


def test_row07_the_200_has_no_expires_header_that_says_otherwise(house):
    house.start()
    al = house.phone()
    for _ in range(2):  # forwarded, absorbed
        answer = al.register(3600)
        assert answer.get("expires") in (None, str(answer.contact(al.uri).expires))


def test_a_phone_that_asks_for_less_gets_less(house):
    house.start(phone_expires=60, min_expires=10)
    al = house.phone()
    assert al.register(20).contact(al.uri).expires == 20
    assert al.register(None, contacts=["<%s>;expires=30" % al.uri]).contact(al.uri).expires == 30
    answer = al.register(40, contacts=["<%s>;expires=15" % al.uri])
    assert answer.contact(al.uri).expires == 15, "the parameter is nearer than the header"


def test_too_brief_is_423_with_min_expires(house):
    house.start(min_expires=10)
    al = house.phone()
    answer = al.register(9)
    assert answer.status == 423 and answer.get("min-expires") == "10"
    house.fence()
    assert house.registrar.of("al") == []


def test_granted_expiries_deviate_so_that_phones_do_not_come_back_all_at_once(house):
    house.start(phone_expires=1000, upstream_expires=7200, expires_jitter=10)
    granted = set()
    for i in range(12):
        phone = house.phone("u%d" % i)
        granted.add(phone.register().contact(phone.uri).expires)
    assert all(900 <= g <= 1000 for g in granted) and len(granted) > 1


def test_parameters_and_q_come_back_as_given(house):
    house.start()
    al = house.phone()
    answer = al.register(contacts=['<%s;ob>;q=0.7;+sip.instance="<urn:uuid:1>";x=y' % al.uri])
    contact = answer.contact(al.uri + ";ob")
    assert float(contact.params["q"]) == 0.7
    assert contact.params["+sip.instance"] == '"<urn:uuid:1>"' and contact.params["x"] == "y"


# -- absorbed --------------------------------------------------------------------------------
def test_a_refresh_is_absorbed(house):
    house.start()
    al = house.phone()
    for _ in range(5):
        answer = al.register()
        assert answer.status == 200 and answer.contact(al.uri).expires == 60
    house.fence()
    assert len(house.registrar.of("al")) == 1
    status = house.midreg.status()
    assert status["register_absorbed"] == 4 and status["register_forwarded"] == 2  # with the fence


def test_a_second_phone_is_absorbed_and_both_are_listed(house):
    house.start()
    one = house.registered("al")
    two = house.phone("al")
    answer = two.register(30)
    assert uris(answer) == sorted([one.uri, two.uri])
    assert answer.contact(two.uri).expires == 30 and 50 <= answer.contact(one.uri).expires <= 60
    house.fence()
    assert len(house.registrar.of("al")) == 1 and len(house.registrar.contacts("al")) == 1


def test_several_contacts_in_one_register(house):
    house.start()
    al = house.phone()
    contacts = ["<sip:al@192.0.2.1>;expires=30", "<sip:al@192.0.2.2>;expires=40"]
    answer = al.register(contacts=contacts)
    assert [(c.uri, c.expires) for c in answer.contacts] == [("sip:al@192.0.2.1", 30), ("sip:al@192.0.2.2", 40)]
    assert len(house.registrar.wait_register("al").request.contacts) == 1
    answer = al.register(contacts=["<sip:al@192.0.2.1>;expires=0, <sip:al@192.0.2.3>"])
    assert uris(answer) == ["sip:al@192.0.2.2", "sip:al@192.0.2.3"]


def test_several_contacts_are_taken_all_or_none(house):
    house.start()
    al = house.registered()
    assert al.register(contacts=["<sip:al@192.0.2.1>", "<mailto:al@example.com>"]).status == 400
    assert al.register(contacts=["<sip:al@192.0.2.1>", "<sip:al@192.0.2.2"]).status == 400
    assert uris(al.register()) == [al.uri]


def test_one_identity_however_it_is_written(house):
    house.start()
    al = house.registered("al")
    other = house.phone("al")
    request = other.register_request()
    request.set("To", "<sip:%61l@EXAMPLE.com:5060;transport=udp>")
    assert uris(other.exchange(request, other.server)) == sorted([al.uri, other.uri])
    house.fence()
    assert len(house.registrar.registers) == 2  # al and the fence


def test_a_contact_is_known_by_the_rules_of_uris(house):
    house.start()
    al = house.phone()
    al.registered(contacts=["<sip:%61l@Phone.example.com;Transport=UDP>"])
    answer = al.register(contacts=["<sip:al@phone.EXAMPLE.com;transport=udp>"])
    assert len(answer.contacts) == 1
    answer = al.register(contacts=["<sip:al@phone.example.com:5060;transport=udp>"])
    assert len(answer.contacts) == 2, "a port that is written is not the default port (19.1.4)"


# -- leaving ---------------------------------------------------------------------------------
def test_one_of_two_leaves_and_upstream_hears_nothing(house):
    house.start()
    one, two = house.registered("al"), house.registered("al")
    assert uris(one.unregister()) == [two.uri]
    house.fence()
    assert len(house.registrar.of("al")) == 1 and len(house.registrar.contacts("al")) == 1


def test_the_last_one_leaves_and_upstream_hears_within_a_second(house):
    house.start()
    one, two = house.registered("al"), house.registered("al")
    one.unregister()
    begun = time.monotonic()
    answer = two.unregister()
    assert answer.status == 200 and answer.contacts == []
    removed = house.registrar.wait_removed("al")
    first = house.registrar.of("al")[0]
    assert removed.time - begun < 1
    assert removed.contact == first.contact and removed.request.call_id == first.request.call_id
    assert removed.request.cseq > first.request.cseq
    assert removed.request.contacts[0].params.get("expires") == "0" and removed.request.get("expires") == "0"
    assert house.registrar.contacts("al") == []


def test_a_phone_that_stops_refreshing_is_dropped_alone(house):
    house.start(phone_expires=2)
    dead, alive = house.registered("al"), house.phone("al")
    poll(lambda: uris(alive.register()) == [alive.uri], "the dead phone is gone", 5)
    assert [r for r in house.registrar.of("al") if r.removes] == []
    assert house.midreg.status()["binding_expired"] == 1
    assert dead.inbox == []


def test_the_last_one_expires_and_upstream_hears_within_a_second(house):
    house.start(phone_expires=1)
    begun = time.monotonic()
    house.registered("al")
    removed = house.registrar.wait_removed("al", 4)
    assert 1 <= removed.time - begun < 2.2
    assert house.registrar.contacts("al") == []


def test_row13_star_removes_all_with_one_register_upstream(house):
    house.start()
    one, two = house.registered("al"), house.registered("al")
    answer = one.register(0, contacts=["*"])
    assert answer.status == 200 and answer.contacts == []
    removed = house.registrar.wait_removed("al")
    assert removed.contact == house.registrar.of("al")[0].contact
    assert two.unregister().status == 200, "what is not there is removed without a word"
    assert one.register(0, contacts=["*"]).status == 200
    house.fence()
    seen = house.registrar.of("al")
    assert len(seen) == 2 and seen[1].request.cseq > seen[0].request.cseq
    assert two.query().contacts == []


@pytest.mark.parametrize("expires, contacts", [
    (60, ["*"]), (None, ["*"]), (0, ["*", "<sip:al@192.0.2.1>"])])
def test_star_needs_expires_0_and_to_be_alone(house, expires, contacts):
    house.start()
    al = house.registered()
    assert al.register(expires, contacts=contacts).status == 400
    assert uris(al.register()) == [al.uri]


def test_back_after_leaving_goes_up_again_under_the_same_contact_and_call_id(house):
    house.start()
    al = house.registered()
    al.unregister()
    house.registrar.wait_removed("al")
    al.registered()
    back = house.registrar.wait_register("al", count=3)
    first = house.registrar.of("al")[0]
    assert (back.contact, back.request.call_id) == (first.contact, first.request.call_id)
    assert not back.removes and len(house.registrar.contacts("al")) == 1


def test_coming_back_while_the_removal_is_on_its_way_leaves_one_contact(house):
    house.start()
    al = house.registered()
    house.registrar.held = []
    request = al.register_request(0)
    al.send(request, al.server)
    house.registrar.wait_removed("al")
    again = al.register_request()
    al.send(again, al.server)
    house.registrar.release()
    assert al.final(again, al.server).status == 200
    house.registrar.wait_register("al", count=3)
    house.fence()
    assert len(house.registrar.contacts("al")) == 1
    assert uris(al.register()) == [al.uri]


# -- asking ----------------------------------------------------------------------------------
def test_row03_a_query_is_answered_with_the_phones_own_contacts_and_stays_here(house):
    house.start()
    one, two = house.registered("al"), house.registered("al")
    house.registered("bo")
    assert uris(one.query()) == sorted([one.uri, two.uri])
    house.fence()
    assert all(r.contact for r in house.registrar.registers), "a query went up"
    assert len(house.registrar.of("al")) == 1, "nor is it a reason to register"


def test_row03_a_query_never_lists_who_has_left_expired_or_is_another(house):
    house.start()
    one, two, three = house.registered("al"), house.registered("al"), house.phone("al")
    house.registered("bo")
    three.registered(1)
    two.unregister()
    poll(lambda: uris(one.query()) == [one.uri], "only one is left", 4)
    assert house.midreg.status()["binding_expired"] == 1
    one.unregister()
    assert one.query().contacts == []


def test_a_query_for_nobody_is_200_without_contact(house):
    house.start()
    answer = house.phone("nobody").query()
    assert answer.status == 200 and answer.contacts == []
    house.fence()
    assert house.registrar.of("nobody") == []


# -- order and copies ------------------------------------------------------------------------
def test_a_lower_cseq_changes_nothing(house):
    house.start()
    al = house.phone()
    al.registered(cseq=10)
    answer = al.register_once(0, cseq=9)
    assert answer.status == 500
    assert uris(al.query()) == [al.uri]


def test_a_retransmission_gets_the_same_answer(house):
    house.start(expires_jitter=10)
    al = house.phone()
    for request in (al.register_request(), al.register_request()):  # forwarded, absorbed
        first = al.exchange(request, al.server)
        al.send(request, al.server)
        house.fence()
        al.settle()
        assert al.copies[first.identity()] == 2, "the same in status, CSeq and To tag"
        assert first.to.tag
    house.fence()
    assert len(house.registrar.of("al")) == 1


def test_a_late_copy_of_a_removal_removes_nothing_new(house):
    house.start()
    al, other = house.registered(), house.registered()
    removal = al.register_request(0)
    assert al.exchange(removal, al.server).status == 200
    al.registered()
    late = removal.set("Via", al.via())  # beyond any transaction
    answer = al.exchange(late, al.server)
    assert answer.status in (200, 500)
    assert uris(other.register()) == sorted([al.uri, other.uri])


def test_a_late_register_does_not_bring_back_a_phone_that_left(house):
    house.start()
    al, other = house.phone(), house.registered()
    request = al.register_request()
    assert al.exchange(request, al.server).status == 200
    al.unregister()
    house.fence()
    late = request.set("Via", al.via())
    assert al.exchange(late, al.server).status == 500
    assert uris(other.register()) == [other.uri]


# -- refusals --------------------------------------------------------------------------------
def test_a_foreign_domain_is_404(house):
    house.start()
    assert house.phone("al", domain="elsewhere.example").register().status == 404
    house.fence()
    assert house.registrar.of("al") == []


def test_an_unknown_extension_that_is_required_is_420(house):
    house.start()
    answer = house.phone().register(headers=[("Require", "path-to-glory, path")])
    assert answer.status == 420 and "path-to-glory" in answer.all("unsupported")


def test_row02_a_phone_too_many_is_refused_and_evicts_nobody(house):
    house.start(max_contacts=2)
    one, two = house.registered(), house.registered()
    assert house.phone().register().status == 403
    assert uris(one.register()) == sorted([one.uri, two.uri])
    two.unregister()
    assert house.phone().register().status == 200


@pytest.mark.parametrize("contact", ["<mailto:al@example.com>", "<tel:+491234>", "<http://example.com/>"])
def test_a_contact_that_is_no_sip_uri_is_400(house, contact):
    house.start()
    assert house.phone().register(contacts=[contact]).status == 400
    house.fence()
    assert house.registrar.of("al") == []


# -- restart ---------------------------------------------------------------------------------
def test_row09_contact_and_call_id_are_the_same_after_a_restart(house):
    """Also when nothing of it is stored."""
    house.start(store="memory")
    al = house.registered()
    house.restart()
    al.registered()
    # Within one second of the first its CSeq may be the same: then 482, and once more.
    first, second = (house.registrar.wait_register("al", lambda r: r.status == 200, count=n) for n in (1, 2))
    assert second.contact == first.contact and second.request.call_id == first.request.call_id
    assert second.request.cseq > first.request.cseq
    assert len(house.registrar.contacts("al")) == 1
