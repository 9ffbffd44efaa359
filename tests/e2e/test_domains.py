"""domain-alias and force-domain: one identity under several names (design 3.2)."""
ALIAS = "pbx.example.com"


def aliased(house):
    house.start(auth="none", domain_alias=["%s=example.com" % ALIAS])
    return house.phone("al").registered(), house.phone("al", domain=ALIAS).registered()


def test_phones_of_either_name_ring(house):
    one, other = aliased(house)
    assert len(house.registrar.contacts("al")) == 1
    assert house.registrar.contacts("al", ALIAS) == []  # the lease was there already
    call = house.registrar.call("al")
    one.wait_invite()
    other.accept(other.wait_invite())
    assert call.final().status == 200


def test_the_main_registrar_may_call_by_either_name(house):
    one, other = aliased(house)
    request = house.registrar.request_to("MESSAGE", "sip:al@" + ALIAS)
    house.registrar.send(request, ("127.0.0.1", house.port))
    for phone in (one, other):
        phone.wait(lambda m: m.is_request and m.method == "MESSAGE", "MESSAGE")


def test_a_phone_calls_under_the_name_that_it_registered(house):
    _, other = aliased(house)
    other.call("sip:bea@" + ALIAS)
    invite = house.registrar.wait_request("INVITE")
    assert invite.from_.uri == "sip:al@" + ALIAS


def test_a_forced_domain(house):
    house.start(auth="none", force_domain="example.com")
    one, other = house.phone("al").registered(), house.phone("al", domain="127.0.0.1").registered()
    assert len(other.query().contacts) == 2
    other.call("sip:bea@example.com")
    assert house.registrar.wait_request("INVITE").from_.uri == "sip:al@127.0.0.1"
    one.unregister()
    other.unregister()
    house.registrar.wait_removed("al")
