"""SIGTERM: who waits is answered, nothing new is begun, and all is kept."""
import signal
import time

from toolkit.endpoint import is_response


def test_at_the_end_who_waits_is_answered_and_it_is_kept(house):
    house.registrar.held = []
    house.start(store="sqlite")
    al = house.phone("al")
    request = al.register_request()
    al.send(request, al.server)
    house.registrar.wait_register("al")
    house.midreg.process.send_signal(signal.SIGTERM)
    house.midreg.wait_log("event=stopping")
    bo = house.phone("bo")
    late = bo.register_request()
    bo.send(late, bo.server)
    time.sleep(0.1)  # it must not have been taken by then, or there is an answer below
    house.registrar.release()
    assert al.final(request, al.server).status == 200
    house.midreg.stop()
    assert bo.received(is_response(late)) == [] and not house.registrar.of("bo")
    house.midreg = house.run(house.midreg.config_file)
    assert bo.final(late, bo.server).status == 200, "its copy finds the next one"
    before = len(house.registrar.of("al"))
    assert al.register().status == 200 and len(house.registrar.of("al")) == before, "absorbed"

def test_the_end_does_not_wait_for_a_silent_main_registrar(house):
    house.registrar.state = "silent"
    house.start()
    al = house.phone("al")
    al.send(al.register_request(), al.server)
    house.registrar.wait_register("al")
    house.midreg.stop()  # within END_WITHIN, or it fails

def test_a_call_in_progress_ends_while_midreg_does(house):
    """BYE passes during the end, as everything of a dialog."""
    house.registrar.held = []
    house.start()
    house.registrar.release()
    al = house.registered("al")
    call = house.registrar.call("al")
    dialog = al.accept(al.wait_invite(call))
    assert call.final().status == 200
    house.registrar.held = []  # what keeps midreg from ending at once
    waits = house.phone("bo")
    waits.send(waits.register_request(), waits.server)
    house.registrar.wait_register("bo")
    house.midreg.process.send_signal(signal.SIGTERM)
    house.midreg.wait_log("event=stopping")
    al.send(dialog.request("BYE"), dialog.next_hop())
    house.registrar.wait_request("BYE")
    house.registrar.release()
    house.midreg.stop()
