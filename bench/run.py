#!/usr/bin/python3
"""bench/run.py [--quick] [--docs]: midreg, Kamailio and the kernel's floor, in turns.

Each work is measured several rounds; in each round all three do it, one after the
other, in changing order. Printed are medians: processor time of the server for each
request, by the scheduler's accounting of its whole process tree. Every answer is
checked; a wrong one fails the run. Raw results: build-bench/results/bench.json.

--quick   two minutes: fewer rounds, no curve over the number of AORs
--docs    puts table and plot into docs/benchmarks.md
"""

import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import plot  # noqa: E402
from servers import BUILD, ROOT, Floor, Kamailio, Midreg, stage  # noqa: E402

RESULTS = BUILD / "results"
DOCS = ROOT / "docs" / "benchmarks.md"
AORS = 100_000
CURVE = (1_000, 10_000, 100_000, 1_000_000)
SPARE = 1_000  # AORs for stir()
SETTLE_S = 34  # RFC 3261's timers J and H, and the end of a turn
LOST_MOST = 0.001

# What the kernel has to do for each work: bytes that are received : that are sent.
# Sizes as midreg's and the load generator's datagrams have them.
SCRIPTS = {
    "refresh": "534:423",
    "second": "534:509",
    "first": "534:418,354:423",
    "call": "890:310+950+950,450:400,450:400,900:830+330,290:0,430:330,410:470,410:470,390:370",
}


class Plan:
    """How much is measured."""

    def __init__(self, quick):
        self.rounds = 3 if quick else 7
        self.refreshes = 60_000 if quick else 200_000
        self.firsts = 5_000
        self.seconds_range = 5_000
        self.calls = 2_000 if quick else 5_000
        self.open_count = 40_000 if quick else 100_000
        self.curve = () if quick else CURVE
        self.memory_back = not quick

    def aors(self):
        return AORS + self.rounds * self.firsts + SPARE


class Bench:
    def __init__(self, plan, folder, programs):
        self.plan = plan
        self.folder = folder
        self.programs = programs
        self.started = 0
        self.results = {}  # work -> server -> list of results
        self.memory = {}
        self.curve = []
        self.faults = []
        self.spare = 0

    def start(self, kind, aors):
        self.started += 1
        return kind(self.programs, self.folder, aors, self.started)

    def check(self, server, result):
        wrong = result["bad"] + result["stray"]
        if wrong or result["lost"] > result["count"] * LOST_MOST:
            self.faults.append(f"{server.name}: {result['command']}: {result['bad']} bad, "
                               f"{result['stray']} stray, {result['lost']} lost: {result['why']}")
        return result

    def ask(self, server, work, **settings):
        return self.check(server, server.ask(work, **settings))

    def rounds(self, work, servers, ask):
        """ask(server, round) in turns, in changing order."""
        for number in range(self.plan.rounds):
            turn = number % len(servers)
            for server in servers[turn:] + servers[:turn]:
                result = ask(server, number)
                self.results.setdefault(work, {}).setdefault(server.name, []).append(result)
        medians = "  ".join(f"{server.name} {self.median(work, server.name):.2f}"
                            for server in servers)
        say(f"{work}: {medians}")

    def median(self, work, name, what="cpu_us"):
        rows = self.results.get(work, {}).get(name)
        return statistics.median(row[what] for row in rows) if rows else None

    # ---- the works ----

    def populate(self, server, aors):
        """One contact of each AOR. midreg remembers a forwarded REGISTER for 32 s and
        holds 262,144 of them: more AORs come at the rate that follows from that."""
        pace = {"rate": 7500} if aors > 200_000 and server.name == "midreg" else {}
        result = self.ask(server, "register", count=aors, range=aors, in_order=1, **pace)
        expected = aors if server.name == "midreg" else 0
        if result["upstream"] != expected:
            self.faults.append(f"{server.name}: {result['upstream']} REGISTERs upstream, not "
                               f"{expected}")

    def stir(self, server, aors):
        """One new AOR, so that a transaction is alive, as some always is in use."""
        self.spare += 1
        if server.name != "floor":
            self.ask(server, "register", count=1, first=aors - self.spare, range=1)

    def refresh(self, server, aors, **settings):
        self.stir(server, aors)
        return self.floor_or(server, "refresh", "register", **settings)

    def floor_or(self, server, script, work, **settings):
        if server.name == "floor":
            return self.ask(server, "floor", script=SCRIPTS[script], count=settings["count"],
                            **{k: v for k, v in settings.items() if k in ("warm", "rate")})
        return self.ask(server, work, **settings)

    def main_works(self):
        plan = self.plan
        servers = [self.start(kind, plan.aors()) for kind in (Floor, Midreg, Kamailio)]
        others = servers[1:]
        empty = {server.name: server.pss() for server in others}
        for server in others:
            self.populate(server, AORS)
        say(f"{AORS} AORs are registered; waiting {SETTLE_S} s for transactions to end")
        time.sleep(SETTLE_S)
        for server in others:
            self.memory[f"{server.name}, {AORS} AORs"] = (server.pss() - empty[server.name]) / AORS
        self.rounds("refresh", servers, lambda s, n: self.refresh(
            s, plan.aors(), count=plan.refreshes, range=AORS, warm=5000))
        self.rounds("open loop", servers, lambda s, n: self.refresh(
            s, plan.aors(), count=plan.open_count, range=AORS, rate=20000, warm=2000))
        self.rounds("second", servers, lambda s, n: self.floor_or(
            s, "second", "register", contact=1, count=plan.seconds_range,
            range=plan.seconds_range, first=n * plan.seconds_range))
        self.rounds("first", servers, lambda s, n: self.floor_or(
            s, "first", "register", count=plan.firsts, range=plan.firsts,
            first=AORS + n * plan.firsts))
        self.rounds("call", servers, lambda s, n: self.floor_or(
            s, "call", "call", count=plan.calls, range=plan.rounds * plan.seconds_range, warm=200))
        self.storm(others)
        for server in servers:
            server.stop()

    def storm(self, servers):
        """1,000 calls at once, 10 contacts each."""
        for server in servers:
            for contact in range(2, 10):
                self.ask(server, "register", contact=contact, count=1000, range=1000)
        if self.plan.memory_back:
            say(f"waiting {SETTLE_S} s for transactions to end")
            time.sleep(SETTLE_S)
        before = {server.name: server.pss() for server in servers}
        self.rounds("storm", servers, lambda s, n: self.ask(
            s, "storm", count=1000, window=1000, range=1000, contacts=10))
        peak = {server.name: server.pss() for server in servers}
        if self.plan.memory_back:
            say("waiting 66 s for the memory of the storm to come back")
            time.sleep(66)
        for server in servers:
            self.memory[f"{server.name}, storms: before, peak, after (MiB)"] = [
                round(value / 2**20, 1)
                for value in (before[server.name], peak[server.name], server.pss())]

    def measure_curve(self):
        for aors in self.plan.curve:
            self.spare = 0
            servers = [self.start(kind, aors + SPARE) for kind in (Midreg, Kamailio)]
            empty = {server.name: server.pss() for server in servers}
            say(f"registering {aors} AORs")
            for server in servers:
                self.populate(server, aors)
            time.sleep(SETTLE_S)
            for server in servers:
                self.memory[f"{server.name}, {aors} AORs"] = (server.pss() - empty[server.name]) / aors
            work = f"refresh at {aors} AORs"
            self.rounds(work, servers, lambda s, n: self.refresh(
                s, aors + SPARE, count=self.plan.refreshes, range=aors, warm=20000))
            self.curve.append({"aors": aors, **{s.name: self.median(work, s.name) for s in servers}})
            if aors == max(self.plan.curve):
                self.measure_further(servers, aors)
            for server in servers:
                server.stop()

    def measure_further(self, servers, aors):
        """The memory of a further contact."""
        count = aors // 4
        for server in servers:
            before = server.pss()
            self.ask(server, "register", contact=1, count=count, range=count, in_order=1)
            self.memory[f"{server.name}, a further contact"] = (server.pss() - before) / count


def say(text):
    print(text, flush=True)


# ---- what is reported ----

def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False,
                              cwd=ROOT).stdout.strip()
    except OSError:
        return ""


def about():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    kamailio = output_of(stage.find_program("kamailio"), "-v").splitlines()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{os.cpu_count()} processors ({cpu.group(1) if cpu else platform.machine()}), "
                   f"{int(memory.group(1)) // 2**20} GiB",
        "kernel": platform.release().split("-")[0],
        "midreg": output_of("git", "describe", "--always", "--dirty") or "unknown",
        "compiler": output_of("gcc", "--version").splitlines()[0],
        "build": "meson setup build-bench --buildtype=release",
        "kamailio": kamailio[0].split(": ", 1)[-1] if kamailio else "unknown",
        "kamailio_command": "kamailio -DD -E -x fm -m 4096 -M 64 -b 8388608 -f bench/kamailio.cfg",
        "command": "bench/run.py " + " ".join(sys.argv[1:]),
        "load_before": round(os.getloadavg()[0], 2),
    }


def verdict(met):
    return "" if met is None else "met" if met else "**missed**"


def ratio(a, b):
    return a / b if a is not None and b else None


def cell(value, digits=1):
    return "" if value is None else f"{value:.{digits}f}"


def cost_rows(bench):
    """(work, aim, floor, midreg, Kamailio, met)"""
    def of(work, what="cpu_us"):
        return [bench.median(work, name, what) for name in ("floor", "midreg", "Kamailio")]

    floor, midreg, kamailio = of("refresh")
    yield ("refresh absorbed", "floor + 2, 0.45 x Kamailio", floor, midreg, kamailio,
           midreg <= floor + 2 and midreg <= 0.45 * kamailio)
    floor, midreg, kamailio = of("second")
    yield "second contact absorbed", "floor + 3", floor, midreg, kamailio, midreg <= floor + 3
    floor, midreg, kamailio = of("first")
    yield ("first REGISTER forwarded (Kamailio only saves it)", "25", floor, midreg, kamailio,
           midreg <= 25)
    floor, midreg, kamailio = of("call")
    yield ("call to two contacts, one answers, one is cancelled", "0.5 x Kamailio", floor, midreg,
           kamailio, midreg <= 0.5 * kamailio)
    yield ("refresh at 20,000 a second (open loop)", "", *of("open loop"), None)


def table(bench):
    lines = ["| work, CPU µs of the server for each | aim | floor | midreg | Kamailio "
             "| midreg - floor | midreg / Kamailio | |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    for work, aim, floor, midreg, kamailio, met in cost_rows(bench):
        lines.append(f"| {work} | {aim} | {cell(floor)} | {cell(midreg)} | {cell(kamailio)} "
                     f"| {cell(midreg - floor)} | {cell(ratio(midreg, kamailio), 2)} "
                     f"| {verdict(met)} |")
    lines += ["", "| latency at 20,000 refreshes a second, µs | floor | midreg | Kamailio | |",
              "| --- | ---: | ---: | ---: | --- |"]
    for label, what in (("p50", "p50_us"), ("p90", "p90_us"), ("p99", "p99_us"),
                        ("p99.9", "p999_us")):
        floor, midreg, kamailio = (bench.median("open loop", name, what)
                                   for name in ("floor", "midreg", "Kamailio"))
        met = verdict(midreg <= kamailio) if label == "p50" else ""
        lines.append(f"| {label} | {cell(floor)} | {cell(midreg)} | {cell(kamailio)} | {met} |")
    return lines + storm_and_memory(bench) + curve_table(bench)


def storm_and_memory(bench):
    ring = {name: bench.median("storm", name, "ring_ms") for name in ("midreg", "Kamailio")}
    lines = ["", "| other | aim | midreg | Kamailio | |", "| --- | --- | ---: | ---: | --- |",
             f"| 1,000 calls at once, 10 contacts each: all ring after, ms | 100 "
             f"| {cell(ring['midreg'])} | {cell(ring['Kamailio'])} "
             f"| {verdict(ring['midreg'] <= 100)} |"]
    labels = sorted({key.split(", ", 1)[1] for key in bench.memory}, key=lambda k: (len(k), k))
    for label in labels:
        values = [bench.memory.get(f"{name}, {label}") for name in ("midreg", "Kamailio")]
        aim, met = "", None
        if label == "1000000 AORs":
            aim, met = "330", values[0] <= 330
        if label == "a further contact":
            aim, met = "200", values[0] <= 200
        shown = [", ".join(map(str, v)) if isinstance(v, list) else cell(v, 0) for v in values]
        what = "memory" if isinstance(values[0], list) else "memory (PSS), bytes each"
        lines.append(f"| {what}: {label} | {aim} | {shown[0]} | {shown[1]} | {verdict(met)} |")
    return lines


def curve_table(bench):
    if not bench.curve:
        return []
    at = {point["aors"]: point["midreg"] for point in bench.curve}
    flat = ratio(at.get(1_000_000), at.get(100_000))
    lines = ["", "| refresh absorbed, CPU µs, by number of AORs | midreg | Kamailio | ratio |",
             "| ---: | ---: | ---: | ---: |"]
    for point in bench.curve:
        lines.append(f"| {point['aors']:,} | {point['midreg']:.2f} | {point['Kamailio']:.2f} "
                     f"| {point['midreg'] / point['Kamailio']:.2f} |")
    lines += ["", f"midreg at 1,000,000 AORs costs {flat:.2f} times what it costs at 100,000 "
              f"(aim: 1.15): {verdict(flat <= 1.15)}.", "",
              "![cost of a refresh by number of AORs](cost-by-aors.svg)"]
    return lines


def write_results(bench, facts):
    RESULTS.mkdir(parents=True, exist_ok=True)
    lines = [f"{facts['date']}; {facts['machine']}, Linux {facts['kernel']}; midreg "
             f"{facts['midreg']} ({facts['compiler']}; `{facts['build']}`); Kamailio: "
             f"{facts['kamailio']} (`{facts['kamailio_command']}`). "
             f"`{facts['command'].strip()}`, {bench.plan.rounds} rounds; load average "
             f"before: {facts['load_before']}.", "", *table(bench)]
    (RESULTS / "bench.md").write_text("\n".join(lines) + "\n")
    (RESULTS / "bench.json").write_text(json.dumps({
        "about": facts, "results": bench.results, "memory": bench.memory, "curve": bench.curve,
        "faults": bench.faults}, indent=1) + "\n")
    if bench.curve:
        (RESULTS / "cost-by-aors.svg").write_text(plot.curve_svg(bench.curve))
    return lines


def write_docs(lines, bench):
    text = DOCS.read_text()
    begin, end = "<!-- run begins -->\n", "<!-- run ends -->"
    head, rest = text.split(begin, 1)
    tail = rest.split(end, 1)[1]
    DOCS.write_text(head + begin + "\n" + "\n".join(lines) + "\n\n" + end + tail)
    if bench.curve:
        (DOCS.parent / "cost-by-aors.svg").write_text(plot.curve_svg(bench.curve))
    say(f"written to {DOCS.relative_to(ROOT)}")


def story(programs, options):
    plan = Plan("--quick" in options)
    facts = about()
    began = time.monotonic()
    say(f"load average before: {facts['load_before']} on {os.cpu_count()} processors"
        + ("; others are at work here: expect noise" if facts["load_before"] > 0.5 else ""))
    with tempfile.TemporaryDirectory(prefix="midreg-bench-") as folder:
        bench = Bench(plan, pathlib.Path(folder), programs)
        bench.main_works()
        bench.measure_curve()
        stage.end_all(programs)
    facts["seconds"] = round(time.monotonic() - began)
    lines = write_results(bench, facts)
    print()
    print("\n".join(lines))
    if "--docs" in options:
        write_docs(lines, bench)
    for fault in bench.faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    return 1 if bench.faults else 0


def main():
    options = sys.argv[1:]
    if any(option not in ("--quick", "--docs") for option in options):
        print(__doc__.split("\n\n")[0], file=sys.stderr)
        return 2
    return stage.main(lambda programs: story(programs, options))


if __name__ == "__main__":
    sys.exit(main())
