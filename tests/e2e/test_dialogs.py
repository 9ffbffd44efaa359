"""Within a dialog: ACK, BYE and re-INVITE follow our Record-Route in both directions."""
import pytest

from toolkit.dialog import Dialog, ask
from toolkit.endpoint import is_request


def talking(house, user="al"):
    """A call from the main registrar that its phone has answered: phone, call, the phone's dialog."""
    phone = house.registered(user)
    call = house.registrar.call(user)
    invite = phone.wait_invite(call)
    dialog = phone.accept(invite)
    assert call.final().status == 200
    phone.wait_ack(invite)
    return phone, call, dialog


def test_everything_goes_through_midreg(house):
    house.start()
    phone, call, dialog = talking(house)
    assert dialog.next_hop() == call.dialogs[0].next_hop() == house.midreg.address


@pytest.mark.parametrize("method", ["INVITE", "INFO", "UPDATE", "BYE"])
def test_a_request_from_the_main_registrar_reaches_the_phone(house, method):
    house.start()
    phone, call, _ = talking(house)
    came, answer = ask(call.dialogs[0], phone, method)
    assert answer.status == 200
    assert came.uri == phone.uri and not came.has("route")
    assert came.source == house.midreg.address


@pytest.mark.parametrize("method", ["INVITE", "INFO", "UPDATE", "BYE"])
def test_a_request_from_the_phone_reaches_the_main_registrar(house, method):
    house.start()
    _, _, dialog = talking(house)
    came, answer = ask(dialog, house.registrar, method)
    assert answer.status == 200
    assert came.uri == dialog.target and not came.has("route")
    assert came.source == house.midreg.address


def test_a_dialog_lives_on_when_the_phone_has_deregistered(house):
    house.start()
    phone, call, dialog = talking(house)
    phone.unregister()
    house.registrar.wait_removed("al")
    assert ask(call.dialogs[0], phone, "INFO")[1].status == 200
    assert ask(dialog, house.registrar, "BYE")[1].status == 200


def test_a_phone_that_moved_is_found_within_its_dialog(house):
    """WiFi to LTE: the same binding on another flow."""
    house.start()
    phone, call, dialog = talking(house)
    moved = house.phone("al")
    moved.call_id, moved.cseq, moved.uri = phone.call_id, phone.cseq, phone.uri
    assert moved.register().status == 200
    assert ask(call.dialogs[0], moved, "BYE")[1].status == 200
    assert phone.received(is_request("BYE")) == []


def test_a_dialog_outlives_a_restart_towards_the_main_registrar(house):
    house.start()
    _, _, dialog = talking(house)
    house.restart()
    assert ask(dialog, house.registrar, "BYE")[1].status == 200


def test_a_dialog_of_a_phone_behind_nat(house):
    house.start()
    phone = house.phone("al")
    phone.uri = "sip:al@10.1.2.3:7777"
    phone.registered()
    call = house.registrar.call("al")
    invite = phone.wait_invite(call)
    phone.accept(invite)
    assert call.final().status == 200
    phone.wait_ack(invite)
    came, _ = ask(call.dialogs[0], phone, "BYE")
    assert came.uri == "sip:al@10.1.2.3:7777"


# -- forgery ---------------------------------------------------------------------------------------------
def forged(route):
    """The same route with one character of its token changed."""
    at = route.index("sip:") + 6
    return route[:at] + ("b" if route[at] != "b" else "c") + route[at + 1:]


def test_a_forged_token_is_403_whoever_sends_it(house):
    house.start()
    phone, call, dialog = talking(house)
    for side in (dialog, call.dialogs[0]):
        side.routes = [forged(r) for r in side.routes]
        assert side.exchange("INFO").status == 403
    assert house.midreg.status()["request_refused"] >= 1


def test_a_token_of_another_call_gives_no_right(house):
    house.start()
    _, _, dialog = talking(house, "al")
    _, _, other = talking(house, "bo")
    other.routes = dialog.routes
    assert other.exchange("INFO").status == 403


def test_without_a_to_tag_a_token_gives_no_right(house):
    house.start()
    phone, _, dialog = talking(house)
    stranger = house.phone("eve")
    request = stranger.invite_request("sip:bo@example.com", headers=[("Route", r) for r in dialog.routes],
                                      call_id=dialog.call_id)
    stranger.send(request, stranger.server)
    answer = stranger.final(request, stranger.server)
    assert answer.status in (403, 407)
    assert house.registrar.received(is_request("INVITE")) == []


def test_a_stranger_with_a_to_tag_but_no_token_is_refused(house):
    house.start()
    stranger = house.phone("eve")
    dialog = Dialog(stranger, "made-up", "<sip:eve@example.com>;tag=1", "<sip:al@example.com>;tag=2",
                    "sip:" + house.registrar.hostport, ["<sip:%s:%d;lr>" % house.midreg.address], 1)
    assert dialog.exchange("INFO").status in (403, 481)
    assert house.registrar.received(is_request("INFO")) == []
