"""sipp as caller and phone, through Kamailio and midreg: many calls, all of them whole."""
from pathlib import Path

from toolkit.endpoint import poll
from toolkit.kamailio import Kamailio, password
from toolkit.midreg import free_port
from toolkit.program import Program, find, listens

PEERS = Path(__file__).parent / "peers"
CALLS = 100
PHONE = "sipp-uas"


def sipp(directory, name, port, *arguments):
    return Program([find("sipp"), "-i", "127.0.0.1", "-p", port, "-nostdin", "-skip_rlimit", *arguments],
                   directory / (name + ".log"), directory)


def test_a_hundred_calls_are_set_up_and_ended(house, tmp_path):
    directory = tmp_path / "kamailio"
    directory.mkdir()
    kamailio = Kamailio(directory)
    phone = None
    try:
        house.start(auth="upstream", upstream={"address": kamailio.hostport})
        port = free_port()
        sipp(tmp_path, "register", port, "127.0.0.1:%d" % house.port, "-sf", PEERS / "register.xml", "-s", PHONE,
             "-au", PHONE, "-ap", password(PHONE), "-m", 1).finish(10)
        assert len(kamailio.contacts(PHONE)) == 1
        phone = sipp(tmp_path, "phone", port, "-sf", PEERS / "phone.xml", "-m", CALLS)
        poll(lambda: phone.check() and listens(port), "sipp listens")
        caller = sipp(tmp_path, "caller", free_port(), kamailio.hostport, "-sf", PEERS / "caller.xml", "-s", PHONE,
                      "-m", CALLS, "-r", 50, "-timeout", 30, "-timeout_error")
        caller.finish(40)
        phone.finish(10)
        status = house.midreg.status()
        assert (status["calls"], status["branches"], status["answered"]) == (CALLS,) * 3
        assert status["cancels"] == 0
    finally:
        if phone:
            phone.stop()
        kamailio.stop()
