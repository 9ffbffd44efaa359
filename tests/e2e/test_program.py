"""The program: its commands, its configuration, its signals, its end."""
import re
import signal
import subprocess

import pytest

from toolkit.config import config_text, usual
from toolkit.midreg import BINARY, command, environment, free_port

GOOD = """listen = [ "udp:127.0.0.1:5060" ]
domains = [ "example.com" ]
upstream = { pbx = { address = "127.0.0.1:5080" } }
"""


def check(tmp_path, text):
    """`midreg check` on this text: the finished process, its errors without the path."""
    path = tmp_path / "midreg.conf"
    path.write_text(text)
    done = command("check", path)
    return done, done.stderr.replace(str(path), "FILE")


# -- commands --------------------------------------------------------------------------------------------
def test_version(tmp_path):
    done = command("version")
    assert done.returncode == 0 and re.fullmatch(r"midreg \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("arguments", [(), ("fly",), ("run", "-x"), ("check", "a", "b"), ("defaults", "x")])
def test_wrong_usage_is_told_in_a_line_on_stderr(arguments):
    done = command(*arguments)
    assert done.returncode == 2 and "midreg" in done.stderr and done.stdout == ""


def test_defaults_parse_again_and_are_the_defaults(tmp_path):
    defaults = command("defaults")
    assert defaults.returncode == 0
    done, errors = check(tmp_path, defaults.stdout + GOOD.partition("\n")[2])
    assert done.returncode == 0, errors


def test_defaults_name_every_option_with_its_meaning():
    text = command("defaults").stdout
    names = re.findall(r"^(?:# )?([a-z-]+) = ", text, re.M)
    for name in ("listen", "advertise", "domains", "mode", "auth", "allow-open-upstream", "phone-expires",
                 "min-expires", "upstream-expires", "expires-jitter", "max-contacts", "fork-timeout", "timer-c",
                 "forward-timeout", "forward-timeout-new", "survive-max", "retry-max", "strip-headers",
                 "state-dir", "upstream"):
        assert name in names, name
    for paragraph in text.strip().split("\n\n"):
        assert paragraph.startswith("#"), "an option without a word: " + paragraph


# -- check -------------------------------------------------------------------------------------------------
def test_a_good_configuration_is_good(tmp_path):
    done, errors = check(tmp_path, GOOD)
    assert done.returncode == 0 and errors == ""


BAD = {
    "syntax": ('strip-headers = [ "X" \n', r"FILE:\d+: .*syntax error"),
    "unknown option, nearest known": ("phone-expire = 60\n", r'FILE:4: .*"phone-expire".*"phone-expires"'),
    "unknown option of an upstream": ("", r'FILE:3: .*"adress".*"address"'),
    "in the wrong place": ("rate = 5\n", r"FILE:4: rate .*upstream"),
    "wrong type": ('max-contacts = "many"\n', r"FILE:4: max-contacts must be a whole number"),
    "wrong type of a flag": ("allow-open-upstream = 1\n", r"FILE:4: allow-open-upstream must be true or false"),
    "out of range": ("max-contacts = 0\n", r"FILE:4: max-contacts = 0 is out of range.*from 1 to"),
    "no duration": ('phone-expires = "2 fortnights"\n', r'FILE:4: phone-expires = "2 fortnights" is no duration'),
    "fraction of a second": (
        'phone-expires = "1500ms"\nmin-expires = 1\n', r"FILE:4: phone-expires must be whole seconds"),
    "unknown choice": ('auth = "maybe"\n', r"FILE:4: auth .*upstream"),
    "not built yet": ('auth = "local"\n', r"FILE:4: .*auth"),
    "contradiction": ("min-expires = 300\n", r"FILE:4: min-expires .*longer than phone-expires"),
    "lease too short": ("upstream-expires = 130\n", r"FILE:4: upstream-expires .*phone-expires"),
    "twice": ("domains = [ \"b.example\" ]\n", r"FILE:4: .*duplicate"),
    "bad domain": ("", r'FILE:2: .*"sip:example.com" is no domain'),
    "bad address": ("", r"FILE:3: .*address"),
    "no upstream": ("", r"FILE.*: there is no upstream"),
    "17 upstreams": ("", r"FILE:3: .*one too many"),
    "tls is not built yet": ("", r"FILE:1: .*tls"),
    "bad listener": ("", r"FILE:1: .*carrier-pigeon"),
    "domains missing": ("", r"FILE:1: domains is missing"),
    "our own address as upstream": ("", r"FILE:3: .*our own"),
    "header that calls need": ('strip-headers = [ "Via" ]\n', r'FILE:4: .*"Via" would remove'),
}
REPLACED = {
    "unknown option of an upstream": ("address =", "adress ="),
    "bad domain": ('"example.com"', '"sip:example.com"'),
    "bad address": ("127.0.0.1:5080", "127.0.0.1:99999"),
    "no upstream": ('upstream = { pbx = { address = "127.0.0.1:5080" } }', ""),
    "17 upstreams": ("} }", "} %s }" % " ".join('u%d = { address = "127.0.0.1:%d" }' % (i, 5081 + i)
                                                 for i in range(16))),
    "tls is not built yet": ('"udp:127.0.0.1:5060"', '"udp:127.0.0.1:5060", "tls:127.0.0.1:5061"'),
    "bad listener": ("udp:", "carrier-pigeon:"),
    "domains missing": ('[ "udp:127.0.0.1:5060" ]\ndomains = [ "example.com" ]', '[ "udp:0.0.0.0:5060" ]'),
    "our own address as upstream": ("5080", "5060"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_check_tells_file_line_and_remedy_of(tmp_path, mistake):
    added, message = BAD[mistake]
    text = GOOD.replace(*REPLACED.get(mistake, ("", ""))) if mistake in REPLACED else GOOD
    done, errors = check(tmp_path, text + added)
    assert done.returncode == 1 and re.search(message, errors), errors
    assert "Sanitizer" not in errors and "runtime error" not in errors


def test_check_tells_all_mistakes_not_only_the_first(tmp_path):
    done, errors = check(tmp_path, GOOD + 'max-contacts = 0\nauht = "none"\nphone-expires = true\n')
    assert done.returncode == 1 and len(errors.strip().split("\n")) == 3
    assert [l.split(":")[1] for l in errors.strip().split("\n")] == ["4", "5", "6"]


def test_check_of_a_file_that_is_not_there(tmp_path):
    done = command("check", tmp_path / "nowhere.conf")
    assert done.returncode == 1 and "nowhere.conf" in done.stderr and "No such file" in done.stderr


def test_run_refuses_a_bad_configuration_with_the_same_words(tmp_path):
    path = tmp_path / "midreg.conf"
    path.write_text(GOOD + "max-contacts = 0\n")
    done = command("run", "-c", path)
    assert done.returncode == 1 and "midreg.conf:4: max-contacts" in done.stderr


# -- run -------------------------------------------------------------------------------------------------------
def second(house, **options):
    """Another midreg beside the house's: its end and errors."""
    config = usual(house.port, house.registrar.hostport, house.directory / "second")
    config.update(options)
    (house.directory / "second").mkdir(exist_ok=True)
    path = house.directory / "second.conf"
    path.write_text(config_text(config))
    return command("run", "-c", path)


def test_a_second_instance_on_the_same_port_is_refused(house):
    house.start()
    done = second(house)
    assert done.returncode == 1 and str(house.port) in done.stderr and "in use" in done.stderr
    assert house.registered("al")


def test_a_second_instance_on_the_same_state_names_the_firsts_pid(house):
    house.start()
    port = free_port()
    done = second(house, listen=["udp:127.0.0.1:%d" % port], state_dir=str(house.directory / "state"))
    assert done.returncode == 1 and str(house.midreg.process.pid) in done.stderr
    assert house.registered("al")


@pytest.mark.parametrize("number", [15, 2])
def test_it_ends_within_three_seconds_and_prints_its_counters(house, number):
    house.start(phone_expires=1)
    house.registered("al")
    house.registrar.silent_for.add("bo")
    bo = house.phone("bo")
    bo.send(bo.register_request(), bo.server)  # in the middle of something
    house.registrar.wait_register("bo")
    call = house.registrar.call("al")
    house.phones[0].wait_invite(call)
    assert house.midreg.stop(number) < 3
    assert "register_received=2" in house.midreg.output.splitlines()[-2]


def test_sigusr1_prints_the_counters_as_key_value(house):
    house.start()
    assert house.midreg.status()["register_received"] == 0
    house.registered("al")
    house.registered("al")
    status = house.midreg.status()
    assert status["register_received"] == 2 and status["register_absorbed"] == 1
    assert status["register_forwarded"] == status["register_upstream"] == 1
    assert status["bindings"] == 2 and status["aors"] == 1


def test_the_log_is_key_value_on_stderr(house):
    house.start()
    house.registered("al")
    house.midreg.status()
    for line in house.midreg.output.splitlines():
        assert re.search(r"\bevent=\w+", line), line


def test_the_secret_is_for_its_owner_alone(house):
    house.start()
    files = [f for f in (house.directory / "state").iterdir() if "lock" not in f.name]
    assert files and all(f.stat().st_mode & 0o077 == 0 for f in files)


def test_a_state_dir_that_cannot_be_made_is_told(house):
    blocked = house.directory / "file"
    blocked.write_text("")
    done = second(house, state_dir=str(blocked / "state"))
    assert done.returncode == 1 and "state" in done.stderr


def test_a_log_that_nobody_reads_any_more_does_not_end_it(house):
    """Its stderr is closed by the reader, as when a logger dies."""
    config = usual(house.port, house.registrar.hostport, house.directory / "state")
    path = house.directory / "midreg.conf"
    path.write_text(config_text(config))
    process = subprocess.Popen([BINARY, "run", "-c", path], env=environment(), stderr=subprocess.PIPE)
    try:
        process.stderr.readline()
        process.stderr.close()
        assert house.registered("al").register().status == 200
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(3) == 0


def change(house, before, after):
    path = house.midreg.config_file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    house.midreg.process.send_signal(signal.SIGHUP)


def test_sighup_reads_the_configuration_again(house):
    house.start()
    assert house.registered("al").register().contacts[0].params["expires"] == "60"
    change(house, "phone-expires = 60", "phone-expires = 30")
    line = house.midreg.wait_log("event=option_changed option=phone-expires")
    assert "before=1m now=30s applied=yes" in line
    assert house.registered("bo").register().contacts[0].params["expires"] == "30"
    change(house, "upstream-expires = 600", "upstream-expires = 900")
    assert "restart midreg" in house.midreg.wait_log("option=upstream-expires before=10m now=15m applied=no")
    change(house, 'auth = "none"', 'auth = "nobody"')
    line = house.midreg.wait_log("event=configuration_bad")
    assert "midreg.conf:" in line and "nobody" in line
    assert house.registered("cy").register().status == 200
