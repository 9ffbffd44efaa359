"""The admin surface: asked over HTTP by a Unix socket and by TCP."""
import contextlib
import http.client
import json
import socket
import subprocess

import pytest

from toolkit.endpoint import poll
from toolkit.midreg import free_port


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(self.path)


def ask(connection, path, method="GET", **headers):
    """(status, body)."""
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, json.loads(body) if answer.headers["Content-Type"] == "application/json" else body


def unix(house, path, method="GET", **headers):
    return ask(UnixConnection(house.directory / "state" / "admin.sock"), path, method, **headers)


def test_list_search_and_paging(house):
    house.start()
    users = {"u%d" % i for i in range(5)}
    for user in users:
        house.registered(user)
    seen, after = set(), ""
    while after is not None:
        status, page = unix(house, "/api/aors?limit=2" + (after and "&after=" + after))
        assert status == 200 and len(page["aors"]) <= 2
        seen |= {row["aor"] for row in page["aors"]}
        after = page["next"]
    assert seen == {"sip:%s@example.com" % user for user in users}
    assert [row["aor"] for row in unix(house, "/api/aors?search=U3")[1]["aors"]] == ["sip:u3@example.com"]


def test_show_and_kick(house):
    house.start()
    al = house.registered("al")
    status, shown = unix(house, "/api/aors/sip%3Aal%40example.com")
    assert status == 200 and shown["bindings"][0]["contact"] == al.uri and shown["lease"]["state"] == "held"
    assert unix(house, "/api/aors/al/kick?contact=sip:x@y", "POST")[0] == 404
    assert unix(house, "/api/aors/al/kick", "POST") == (200, {"kicked": 1})
    assert al.query().contacts == [] and unix(house, "/api/aors/al")[0] == 404
    poll(lambda: any(r.removes for r in house.registrar.registers), "Expires: 0 upstream")


def test_metrics_are_what_prometheus_reads(house):
    house.start()
    status, text = unix(house, "/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert status == 200 and done.returncode == 0 and not done.stderr, done.stderr


def test_bad_requests_are_told_why(house):
    house.start()
    for path, method, status in (("/nix", "GET", 404), ("/api/status", "POST", 405), ("/api/aors?limit=0", "GET", 400),
                                 ("/api/aors?after=x", "GET", 400), ("/api/status?x=1", "GET", 400)):
        got, body = unix(house, path, method)
        assert got == status and body["remedy"]


def test_over_tcp_no_foreign_page_can_ask(house):
    port = free_port()
    house.start(admin=["127.0.0.1:%d" % port])
    house.registered("al")

    def tcp(*args, **headers):
        return ask(http.client.HTTPConnection("127.0.0.1", port, timeout=10), *args, **headers)
    assert tcp("/api/status")[0] == 200
    assert tcp("/api/status", Host="evil.example")[0] == 403
    assert tcp("/api/aors/al/kick", "POST")[0] == 403
    assert tcp("/api/aors/al/kick", "POST", X_Midreg="1")[0] == 200


def test_a_socket_that_nobody_listens_on_is_replaced(house):
    house.start()
    house.midreg.kill()
    assert (house.directory / "state" / "admin.sock").exists()
    house.midreg = house.run(house.midreg.config_file)
    assert unix(house, "/api/status")[1]["pid"] == house.midreg.process.pid


def test_an_address_that_was_chosen_must_be_had(house):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(AssertionError, match='admin "127.0.0.1:%d" cannot be opened: .*' % port):
            house.start(admin=["127.0.0.1:%d" % port])


def test_the_default_is_left_out_where_another_program_has_it(house):
    """Two on one machine: the second runs all the same."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # somebody has it, which will do
            stack.enter_context(socket.create_server(("127.0.0.1", 8060)))
        house.start(admin=None)
        house.midreg.wait_log("event=admin_unavailable address=127.0.0.1:8060 .*remedy=")
        house.registered("al")


def test_who_does_not_read_holds_nobody_up(house):
    """Neither phones nor who else asks; and when midreg ends it does not wait for him."""
    house.start()
    for i in range(30):
        house.registered("u%d" % i)
    request = b"GET /api/aors?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            one = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            one.connect(str(house.directory / "state" / "admin.sock"))
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:  # until nothing more is taken: its answers lie before us
                    one.send(request)
        assert unix(house, "/api/status")[0] == 200
        assert house.phones[0].register().status == 200
        house.midreg.stop()


def reload_of(house):
    return unix(house, "/api/upstreams")[1]["upstreams"][0]["reload"]


def test_reload(house):
    house.start()
    for user in ("al", "bo", "cy"):
        house.registered(user)
    before = len(house.registrar.registers)
    status, begun = unix(house, "/api/reload?upstream=pbx", "POST")
    assert status == 202 and begun["upstreams"][0]["reload"]["number"] == 1
    poll(lambda: reload_of(house)["state"] == "idle", "it ends")
    ended = reload_of(house)
    assert (ended["total"], ended["done"], ended["failed"], ended["due"]) == (3, 3, 0, 0)
    assert len(house.registrar.registers) == before + 3
    assert unix(house, "/api/aors/bo/reload", "POST")[0] == 202
    house.registrar.wait_register("bo", count=3)
    assert unix(house, "/api/reload?dry-run=1", "POST")[0] == 202
    poll(lambda: reload_of(house)["state"] == "idle", "it ends")
    assert reload_of(house)["done"] == 3 and reload_of(house)["dry_run"]
    assert len(house.registrar.registers) == before + 4


def test_reload_slowly_and_stopped(house):
    house.start()
    for user in ("al", "bo", "cy", "di", "ed"):
        house.registered(user)
    assert unix(house, "/api/reload?rate=1", "POST")[0] == 202
    assert unix(house, "/api/reload", "POST")[0] == 409
    assert unix(house, "/api/reload/stop", "POST")[0] == 202
    poll(lambda: reload_of(house)["state"] == "idle", "it ends")
    assert reload_of(house)["done"] < 5


def test_reloads_that_cannot_be(house):
    house.start(upstream={"ping-interval": 1})
    house.registered("al")
    for path, status in {"/api/reload?upstream=nobody": 404, "/api/reload?rate=0": 400, "/api/reload?rate=x": 400,
                         "/api/reload?dry-run=yes": 400, "/api/reload?limit=1": 400, "/api/aors/zz/reload": 404}.items():
        answer = unix(house, path, "POST")
        assert answer[0] == status and answer[1]["remedy"], path
    assert unix(house, "/api/reload")[0] == 405
    house.registrar.state = "silent"
    house.midreg.wait_log("event=upstream_down", timeout=10)
    for path in ("/api/reload", "/api/aors/al/reload"):
        assert unix(house, path, "POST")[0] == 409
    assert unix(house, "/api/upstreams")[1]["upstreams"][0]["state"] == "down"
    assert 'midreg_upstream_up{upstream="pbx"} 0' in unix(house, "/metrics")[1]
