#!/usr/bin/python3
"""bench/flame.py [OUT.svg]: where an absorbed refresh spends its time, as a flame graph.

Builds midreg with frame pointers, loads it with refreshes of 100,000 AORs, has perf
sample it (processor clock, kernel included) and draws the stacks: a box is as wide
as its share, what it calls stands on it. Needs linux-perf, and the right to sample.
"""

import collections
import html
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import servers  # noqa: E402
from servers import ROOT, stage  # noqa: E402

AORS = 100_000
SETTLE_S = 34
SAMPLE_S = 8
WIDTH, ROW, LEAST = 1200, 17, 0.4  # pixels; narrower boxes are left out
OUT = ROOT / "docs" / "flame-refresh.svg"
# Frames below the turn of the loop say nothing.
BASE = "world_run"


def build():
    subprocess.run([ROOT / "tools" / "build", "build-flame", "--buildtype=release", "-Ddebug=true",
                    "-Dtests=false", "-Dbench=true", "-Dc_args=-fno-omit-frame-pointer"],
                   check=True, env={"CC": "gcc", "PATH": "/usr/bin:/bin"})
    servers.BUILD = ROOT / "build-flame"


def sample(folder, programs):
    """The text of perf script."""
    server = servers.Midreg(programs, folder, AORS, 1)
    server.ask("register", count=AORS, in_order=1)
    time.sleep(SETTLE_S)
    perf = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", "9973", "-g", "-p",
                             str(server.program.process.pid), "-o", folder / "perf.data"])
    end = time.monotonic() + SAMPLE_S
    while time.monotonic() < end:
        result = server.ask("register", count=100_000)
    perf.send_signal(2)
    perf.wait()
    print(f"{result['cpu_us']:.2f} µs each, while sampled")
    return subprocess.run(["perf", "script", "-i", folder / "perf.data", "-F", "ip,sym"],
                          capture_output=True, text=True, check=True).stdout


def stacks_of(script):
    """{(outermost, ..., innermost): samples}, from the loop's turn on."""
    stacks = collections.Counter()
    for block in re.split(r"\n\s*\n", script):
        frames = [re.sub(r"\+0x.*|\.(constprop|isra|part)\.\d+", "", line.split(None, 1)[1])
                  for line in block.strip().splitlines() if len(line.split(None, 1)) == 2]
        frames.reverse()
        if BASE in frames:
            stacks[tuple(frames[frames.index(BASE):])] += 1
    return stacks


def tree_of(stacks):
    root = {"n": 0, "of": {}}
    for frames, count in stacks.items():
        node = root
        node["n"] += count
        for frame in frames:
            node = node["of"].setdefault(frame, {"n": 0, "of": {}})
            node["n"] += count
    return root


def is_kernel(name, inside):
    return inside or name.startswith(("entry_SYSCALL", "asm_", "__x64_sys"))


def draw(node, name, x, depth, scale, kernel, boxes, total):
    """Boxes of a node and of all above it."""
    width = node["n"] * scale
    if width < LEAST:
        return
    kernel = is_kernel(name, kernel)
    boxes.append((x, depth, width, name, 100 * node["n"] / total, kernel))
    at = x
    for child in sorted(node["of"]):
        draw(node["of"][child], child, at, depth + 1, scale, kernel, boxes, total)
        at += node["of"][child]["n"] * scale


def svg_of(tree, title):
    boxes = []
    at = 0.0
    scale = WIDTH / tree["n"]
    for name, node in sorted(tree["of"].items()):
        draw(node, name, at, 0, scale, False, boxes, tree["n"])
        at += node["n"] * scale
    height = (max(box[1] for box in boxes) + 1) * ROW + 40
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="6" y="18" font-size="13">{html.escape(title)}</text>']
    for x, depth, width, name, share, kernel in boxes:
        y = height - (depth + 1) * ROW - 6
        colour = "#9db8d9" if kernel else "#e8a86d"
        text = name[:max(0, int(width / 6.7) - 1)]
        out.append(f'<g><title>{html.escape(name)} {share:.1f} %</title><rect x="{x:.1f}" y="{y}" '
                   f'width="{max(width - 0.4, 0.3):.1f}" height="{ROW - 1}" fill="{colour}"/>'
                   f'<text x="{x + 3:.1f}" y="{y + 12}">{html.escape(text)}</text></g>')
    return "\n".join(out + ["</svg>"]) + "\n"


def story(programs, out):
    build()
    with tempfile.TemporaryDirectory(prefix="midreg-flame-") as name:
        stacks = stacks_of(sample(pathlib.Path(name), programs))
        stage.end_all(programs)
    tree = tree_of(stacks)
    out.write_text(svg_of(tree, f"an absorbed refresh at {AORS:,} AORs: {tree['n']:,} samples; "
                                "orange: midreg, blue: the kernel"))
    print(f"written to {out}")
    return 0


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    sys.exit(stage.main(lambda programs: story(programs, target)))
