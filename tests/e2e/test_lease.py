"""midreg's own registration at the main registrar: kept alive, believed, given back.

What FreeSWITCH says and loses, mode for mode, is in test_freeswitch_modes.py.
"""
import time

import pytest

from toolkit.endpoint import poll


LEASE = 4  # seconds
ASKED = 600


@pytest.fixture
def house(house):
    """Grants are short, phones are granted far longer: all refreshes are midreg's own."""
    house.registrar.grant_at_most = LEASE
    return house


def start(house, **options):
    return house.start(**{"phone_expires": 60, "upstream_expires": ASKED, "retry_max": 1, **options})


def start_with_digest(house, **options):
    """midreg has no means of its own; phones must come twice in a lease."""
    house.registrar.trusted, house.registrar.passwords = False, {"al": "secret"}
    start(house, **{"auth": "upstream", "phone_expires": LEASE // 2, "upstream_expires": LEASE, **options})
    house.registrar.wait_probe()


# -- trusted: by its own means ---------------------------------------------------------------------
def test_row04_the_lease_is_refreshed_without_any_phone(house):
    start(house)
    house.registered("al")
    first = house.registrar.wait_register("al")
    second = house.registrar.wait_register("al", count=2, timeout=LEASE + 1)
    assert 0.75 * LEASE < second.time - first.time < 0.95 * LEASE
    assert second.contact == first.contact and second.expires == ASKED
    assert second.request.call_id == first.request.call_id
    assert second.request.cseq > first.request.cseq
    assert len(house.registrar.contacts("al")) == 1
    assert house.midreg.status()["lease_refreshed"] >= 1


def test_row05_row16_a_shortened_grant_is_believed(house):
    start(house)
    house.registered("al")
    house.registrar.grant_at_most = 2
    house.registrar.wait_register("al", count=2, timeout=LEASE + 1)
    for n in (3, 4):
        refresh = house.registrar.wait_register("al", count=n, timeout=3)
        assert refresh.time - house.registrar.of("al")[n - 2].time < 2, "the lease lapsed"
        assert refresh.expires == ASKED, "it asks for the whole time again"
    assert len(house.registrar.contacts("al")) == 1


def test_the_grant_is_read_from_our_contact_among_others(house):
    house.registrar.grant_at_most = 2
    house.registrar.foreign_rows = ["<sip:al@192.0.2.9:5060>;expires=3000", "<sip:al@192.0.2.10>;expires=1"]
    start(house)
    house.registered("al")
    first = house.registrar.wait_register("al")
    refresh = house.registrar.wait_register("al", count=2, timeout=3)
    assert 1 <= refresh.time - first.time < 2


def test_423_from_upstream_is_asked_again_with_min_expires(house):
    house.registrar.grant_at_most, house.registrar.min_expires = None, 900
    start(house)
    al = house.registered("al")
    assert [r.expires for r in house.registrar.of("al")] == [ASKED, 900]
    sent = house.registrar.of("al")
    assert sent[0].request.call_id == sent[1].request.call_id and sent[1].request.cseq > sent[0].request.cseq
    assert al.register().status == 200


def test_a_stored_contact_is_the_same_string_whatever_the_phone_sends(house):
    start(house)
    al = house.phone("al")
    al.registered(contacts=['"Al" <sip:%%61l@%s;line=xyz;ob>;q=0.7;+sip.instance="<urn:x>";reg-id=1' % al.hostport])
    house.registrar.wait_register("al", count=2, timeout=LEASE + 1)
    one, two = house.registrar.of("al")[:2]
    assert one.contact == two.contact and "line" not in one.contact and "ob" not in one.contact
    assert one.request.contacts[0].params.keys() == {"expires"}
    assert house.registrar.contacts("al") == [one.contact], "it came back as it was sent"


# -- digest: by the phones' means --------------------------------------------------------------------
def test_without_own_means_a_phones_refresh_is_forwarded_when_the_lease_is_due(house):
    start_with_digest(house)
    al = house.phone("al", "secret").registered()
    first = house.registrar.wait_register("al", lambda r: r.status == 200)
    poll(lambda: al.registered() and len([r for r in house.registrar.of("al") if r.status == 200]) > 1,
         "a refresh of the phone is forwarded", LEASE)
    second = house.registrar.wait_register("al", lambda r: r.status == 200, count=2)
    assert LEASE * 0.4 < second.time - first.time < LEASE
    assert (second.contact, second.request.call_id) == (first.contact, first.request.call_id)
    assert len(house.registrar.contacts("al")) == 1


def test_without_own_means_a_phone_gets_at_most_half_of_a_short_grant(house):
    house.registrar.grant_at_most, house.registrar.force_expires = None, 20
    start_with_digest(house, phone_expires=60, upstream_expires=600)
    al = house.phone("al", "secret")
    assert al.register().contact(al.uri).expires <= 10


# -- a main registrar in trouble -----------------------------------------------------------------------
def test_phones_stay_while_the_main_registrar_is_silent_and_the_lease_comes_back(house):
    start(house)
    al = house.registered("al")
    house.registrar.state = "silent"
    house.registrar.wait_register("al", count=2, timeout=LEASE + 1)
    house.registrar.purge()  # it lost everything on the way down
    assert al.register().status == 200
    house.registrar.state = "running"
    back = house.registrar.wait_register("al", lambda r: r.status == 200, count=2, timeout=8)
    assert len(house.registrar.contacts("al")) == 1
    assert back.contact == house.registrar.of("al")[0].contact
    call = house.registrar.call("al")
    al.refuse(al.wait_invite(call), 486)
    assert call.final().status == 486


def test_a_new_phone_is_refused_while_the_main_registrar_starts_and_is_not_kept(house):
    start(house)
    house.registrar.state = "starting"
    al = house.phone("al")
    answer = al.register()
    assert answer.status == 503
    house.registrar.state = "running"
    assert al.query().contacts == []


def test_row17_a_long_retry_after_never_reaches_a_phone(house):
    start(house, retry_max=20)
    house.registrar.state = "starting"
    answer = house.phone("al").register()
    assert answer.status == 503 and 1 <= int(answer.get("retry-after")) <= 20


def test_row17_the_retry_after_is_short_and_differs_from_phone_to_phone(house):
    start(house)
    house.registrar.state = "starting"
    seen = {int(house.phone("u%d" % i).register().get("retry-after")) for i in range(12)}
    assert len(seen) > 1 and max(seen) <= 30


def test_row08_a_challenged_removal_is_not_given_up_silently(house):
    """The main registrar trusted us, and no longer does: the lease runs out there, is counted, and rings nobody."""
    start(house)
    al = house.registered("al")
    house.registrar.trusted, house.registrar.passwords = False, {"al": "secret"}
    al.unregister()
    assert house.registrar.wait_removed("al").status == 401
    house.midreg.wait_status("lease_lapsed", 1)
    assert len(house.registrar.contacts("al")) == 1, "it still believes it"
    assert house.registrar.call("al").final().status == 480
    assert house.registrar.ping("al").status == 480, "its pings end it"


def test_a_removal_that_fails_is_tried_again(house):
    start(house)
    al = house.registered("al")
    house.registrar.state = "starting"
    al.unregister()
    house.registrar.wait_removed("al")
    house.registrar.state = "running"
    removed = house.registrar.wait_register("al", lambda r: r.removes and r.status == 200, timeout=8)
    assert removed.contact == house.registrar.of("al")[0].contact
    assert house.registrar.contacts("al") == []


def test_a_refused_removal_is_not_repeated(house):
    start(house)
    al = house.registered("al")
    house.registrar.refuse["al"] = 403
    al.unregister()
    house.registrar.wait_removed("al")
    house.fence()
    house.midreg.status()
    house.fence()
    assert len([r for r in house.registrar.of("al") if r.removes]) == 1


def test_row14_an_identity_ends_when_its_own_refreshes_are_refused_twice(house):
    start(house)
    al = house.registered("al")
    house.registrar.refuse["al"] = 403
    house.registrar.wait_register("al", lambda r: r.status == 403, count=2, timeout=LEASE + 2)

    def gone():
        sent = house.registrar.stored_contact("al")
        return house.registrar.ping("al", contact=sent).status == 480
    poll(gone, "the refused identity is gone", 3)
    assert al.register().status == 403, "the phone learns it from its next REGISTER"


# -- a silent main registrar -------------------------------------------------------------------------------
def test_a_new_phone_is_answered_when_the_main_registrar_is_silent(house):
    start(house, forward_timeout="300ms", forward_timeout_new="300ms")
    house.registrar.state = "silent"
    begun = time.monotonic()
    answer = house.phone("al").register()
    assert answer.status == 503 and int(answer.get("retry-after")) <= 30
    assert 0.3 <= time.monotonic() - begun < 2
    house.registrar.state = "running"
    assert house.phone("al").query().contacts == []


def test_a_known_phones_proved_refresh_is_answered_here_when_the_main_registrar_is_silent(house):
    start_with_digest(house, forward_timeout="300ms", forward_timeout_new="20s")
    al = house.phone("al", "secret").registered()
    house.registrar.state = "silent"
    before = len(house.registrar.of("al"))

    def forwarded():
        answer = al.register()
        assert answer.status == 200 and answer.contact(al.uri)
        return len(house.registrar.of("al")) > before
    poll(forwarded, "the lease is due and a refresh goes up", LEASE + 1)


def test_a_lost_answer_leaves_the_lease_to_be_tried_again(house):
    start(house, forward_timeout="300ms", forward_timeout_new="300ms")
    house.registrar.held = []  # it accepts, but its answers are lost
    assert house.phone("al").register().status == 503
    assert len(house.registrar.contacts("al")) == 1
    house.registrar.held = None
    al = house.registered("al")
    assert len(house.registrar.contacts("al")) == 1
    al.unregister()
    house.registrar.wait_register("al", lambda r: r.removes and r.status == 200)
    assert house.registrar.contacts("al") == []


# -- pace ------------------------------------------------------------------------------------------------
def test_row06_no_more_registers_a_second_than_the_rate(house):
    rate, users = 10, 25
    house.registrar.grant_at_most = None
    start(house, upstream={"rate": rate, "rate-max": rate})
    phones = [house.phone("u%d" % i) for i in range(users)]
    requests = [p.register_request() for p in phones]
    for phone, request in zip(phones, requests):
        phone.send(request, phone.server)
    for phone, request in zip(phones, requests):
        assert phone.final(request, phone.server).status == 200
    times = sorted(r.time for r in house.registrar.registers)
    assert len(times) == users
    for start_of_second in times:
        within = [t for t in times if start_of_second <= t < start_of_second + 1]
        assert len(within) <= 1.1 * rate + 1  # a tenth of a second's worth may go at once
