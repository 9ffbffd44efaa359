"""The main registrar proves who a phone is (auth = "upstream"): what passes both ways, what is absorbed."""
import pytest

from toolkit import digest
from toolkit.endpoint import is_request


@pytest.fixture
def house(house):
    house.registrar.trusted = False
    house.registrar.passwords = {"al": "secret", "bo": "hidden"}
    return house


def start(house, **options):
    """midreg, when its probe has shown that the main registrar challenges."""
    house.start(**{"auth": "upstream", **options})
    if not options.get("allow_open_upstream"):
        house.registrar.wait_probe()
    return house


def al_phone(house):
    return house.phone("al", "secret")


def uris(answer):
    return sorted(c.uri for c in answer.contacts)


# -- the challenge -----------------------------------------------------------------------------
def test_the_challenge_passes_to_the_phone_and_its_credentials_pass_up(house):
    start(house)
    phone = al_phone(house)
    challenge = phone.register_once()
    assert challenge.status == 401
    p = digest.parse(challenge.get("www-authenticate"))
    assert p["realm"] == "example.com" and p["nonce"] in house.registrar.nonces
    phone.meet(challenge.get("www-authenticate"))
    answer = phone.register()
    assert answer.status == 200 and uris(answer) == [phone.uri]
    sent = house.registrar.wait_register("al", lambda r: r.status == 200)
    given = digest.parse(sent.request.get("authorization"))
    assert given["username"] == "al" and given["nonce"] == p["nonce"]
    assert len(house.registrar.contacts("al")) == 1


def test_row02_refused_register_leaves_nothing(house):
    start(house)
    phone = al_phone(house)
    assert phone.register_once().status == 401
    phone.password = "wrong"
    assert phone.register().status == 403
    assert house.registrar.contacts("al") == []
    good = al_phone(house)
    assert uris(good.register()) == [good.uri]


@pytest.mark.parametrize("auth", ["upstream", "none"])
def test_row02_nothing_is_stored_before_the_main_registrar_answers(house, auth):
    house.registrar.trusted = auth == "none"
    house.start(auth=auth)
    if auth == "upstream":
        house.registrar.wait_probe()
    house.registrar.held = []
    phone = al_phone(house)
    request = phone.register_request()
    phone.send(request, phone.server)
    contact = house.registrar.wait_register("al").contact
    assert house.registrar.ping("al", contact=contact).status in (404, 480)
    assert house.registrar.call_contact(contact).final().status in (404, 480)
    assert phone.invites() == []
    house.registrar.release()
    answer = phone.final(request, phone.server)
    assert answer.status == (200 if auth == "none" else 401)
    assert house.registrar.ping("al", contact=contact).status in ((200,) if auth == "none" else (404, 480))


def test_row02_a_wrong_password_evicts_nobody(house):
    start(house, max_contacts=1)
    good = al_phone(house).registered()
    bad = house.phone("al", "wrong")
    assert bad.register().status == 403
    assert uris(good.register()) == [good.uri]


def test_an_unknown_user_is_refused_as_the_main_registrar_says(house):
    start(house)
    assert house.phone("nobody", "x").register().status == 403


def test_a_refusal_passes_with_its_own_status(house):
    start(house)
    house.registrar.refuse["al"] = 404
    assert al_phone(house).register().status == 404


# -- absorbing needs proof -----------------------------------------------------------------------
def test_a_refresh_from_the_same_flow_is_absorbed(house):
    start(house)
    phone = al_phone(house).registered()
    before = len(house.registrar.of("al"))
    for _ in range(3):
        assert uris(phone.register()) == [phone.uri]
    house.fence()
    assert len(house.registrar.of("al")) == before


def test_a_later_nc_is_accepted_after_absorbed_refreshes(house):
    start(house)
    phone = al_phone(house).registered()
    for _ in range(3):
        phone.registered()
    assert phone.nonce_count >= 4
    phone.uri = phone.uri.replace("sip:al@", "sip:other@")  # a changed contact must be proved
    answer = phone.register_once(headers=[("Authorization", phone.credentials("REGISTER", "sip:example.com"))])
    assert answer.status == 200


def test_row01_a_stranger_cannot_add_a_contact(house):
    start(house)
    owner = al_phone(house).registered()
    stranger = house.phone("al")
    assert stranger.register().status == 401
    stranger.password = "guess"
    assert stranger.register().status == 403
    assert uris(owner.register()) == [owner.uri]
    call = house.registrar.call("al")
    owner.refuse(owner.wait_invite(call), 486)
    assert call.final().status == 486
    assert stranger.invites() == []


def test_row01_a_stranger_cannot_remove_a_contact(house):
    start(house)
    owner = al_phone(house).registered()
    stranger = house.phone("al")
    assert stranger.register_once(0, contacts=["<%s>" % owner.uri]).status == 401
    assert stranger.register_once(0, contacts=["*"]).status == 401
    assert stranger.register_once(0, contacts=["<%s>" % owner.uri], call_id=owner.call_id,
                                  cseq=owner.cseq + 1).status == 401
    assert uris(owner.register()) == [owner.uri]
    assert len(house.registrar.contacts("al")) == 1


def test_row01_a_stolen_call_id_is_no_proof_on_another_flow(house):
    start(house)
    owner = al_phone(house).registered()
    thief = house.phone("al")
    answer = thief.register_once(contacts=["<%s>" % owner.uri], call_id=owner.call_id, cseq=owner.cseq + 1)
    assert answer.status == 401


def test_another_users_password_adds_nothing(house):
    start(house)
    al_phone(house).registered()
    bo = house.phone("al", "hidden")
    challenge = bo.register_once()
    auth = digest.credentials(challenge.get("www-authenticate"), "bo", "hidden", "REGISTER", "sip:example.com")
    assert bo.register_once(headers=[("Authorization", auth)]).status == 403


def test_row01_a_query_needs_proof(house):
    start(house)
    owner = al_phone(house).registered()
    assert uris(owner.query()) == [owner.uri]
    answer = house.phone("al").query()
    assert answer.status == 403 and answer.contacts == []


def test_row01_a_query_is_proved_by_flow_and_call_id_together(house):
    start(house)
    owner = al_phone(house).registered()
    thief = house.phone("al")
    assert thief.register_once(None, contacts=[], call_id=owner.call_id, cseq=owner.cseq + 1).status == 403
    assert owner.register_once(None, contacts=[], call_id="another").status == 403


def test_a_second_phone_is_proved_upstream_and_still_one_contact(house):
    start(house)
    one, two = al_phone(house).registered(), al_phone(house)
    assert uris(two.register()) == sorted([one.uri, two.uri])
    assert len(house.registrar.contacts("al")) == 1


def test_a_phone_that_moves_is_proved_again(house):
    start(house)
    phone = al_phone(house).registered()
    moved = al_phone(house)
    moved.call_id, moved.cseq, moved.uri = phone.call_id, phone.cseq, phone.uri
    assert moved.register_once().status == 401
    assert uris(moved.register()) == [phone.uri]
    call = house.registrar.call("al")
    moved.refuse(moved.wait_invite(call), 486)
    assert call.final().status == 486 and phone.invites() == []


# -- leaving -------------------------------------------------------------------------------------
def test_a_removal_that_is_not_the_last_goes_up_as_a_refresh(house):
    start(house)
    one, two = al_phone(house).registered(), al_phone(house).registered()
    before = len(house.registrar.of("al"))
    assert uris(one.unregister()) == [two.uri]
    new = house.registrar.of("al")[before:]
    assert new and not any(r.removes for r in new)
    assert len(house.registrar.contacts("al")) == 1


def test_the_last_removal_goes_up_with_the_phones_credentials(house):
    start(house)
    phone = al_phone(house).registered()
    answer = phone.unregister()
    assert answer.status == 200 and answer.contacts == []
    removed = house.registrar.wait_removed("al", timeout=3)
    assert removed.contact == house.registrar.of("al")[0].contact
    assert house.registrar.contacts("al") == []


def test_row08_an_expiry_that_cannot_be_told_upstream_is_counted_and_the_call_gets_480(house):
    start(house, phone_expires=1)
    al_phone(house).registered()
    house.midreg.wait_status("lease_lapsed", 1)
    assert len(house.registrar.contacts("al")) == 1
    call = house.registrar.call("al")
    assert call.final().status == 480
    assert house.registrar.ping("al").status == 480


# -- an open main registrar ------------------------------------------------------------------------
def test_an_open_main_registrar_proves_nothing(house):
    house.registrar.trusted = True
    start(house)
    answer = al_phone(house).register()
    assert answer.status == 503 and answer.has("retry-after")
    house.midreg.wait_log("open")
    assert house.registrar.contacts("al") == []


def test_an_open_main_registrar_may_be_allowed(house):
    house.registrar.trusted = True
    start(house, allow_open_upstream=True)
    phone = al_phone(house)
    assert uris(phone.register()) == [phone.uri]


def test_the_probe_asks_for_nobody_and_leaves_nothing(house):
    start(house)
    probe = house.registrar.wait_probe()
    assert not probe.request.has("authorization") and probe.removes
    assert "mr=" in probe.contact or str(house.port) in probe.contact
    assert house.registrar.bindings.rows == {} or not any(house.registrar.bindings.rows.values())


# -- calls of nobody -------------------------------------------------------------------------------
def test_row02_a_phone_that_never_answered_the_challenge_does_not_ring(house):
    start(house)
    phone = al_phone(house)
    assert phone.register_once().status == 401
    sent = house.registrar.wait_register("al")
    call = house.registrar.call_contact(sent.contact)
    assert call.final().status in (404, 480)
    assert phone.received(is_request("INVITE")) == []
