"""REGISTERs a second and registered AORs over the time of a restart, as SVG, with nothing but Python."""
WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 60, 70, 34, 46
STEP = 0.5  # seconds


def series(history, stopped, begin):
    """For each STEP since `begin`: REGISTERs a second, and AORs that are registered at its end."""
    slots = int((history[-1][0] + 4 - begin) / STEP) + 1
    rates, rows = [0.0] * slots, [None] * slots
    held = [0] + [h for t, _, h in history if t < begin][-1:]
    for t, _, now_held in history:
        if t >= begin:
            rates[int((t - begin) / STEP)] += 1 / STEP
            rows[int((t - begin) / STEP)] = now_held
    for slot in range(slots):
        if rows[slot] is None:
            rows[slot] = rows[slot - 1] if slot else held[-1]
        if slot == int((stopped - begin) / STEP):
            rows[slot] = 0
    return rates, rows


def restart_svg(history, stopped, ready):
    """`history`: Exchange.history; it stopped and was ready again at these times; 0 in the plot is when it was ready."""
    begin = stopped - 4
    lead = ready - begin
    rates, rows = series(history, stopped, begin)
    slots, end = len(rates), len(rates) * STEP - lead
    last = max(rows)
    most_rate, most_rows = max(rates) * 1.1 or 1, last * 1.1

    def x(slot):
        return LEFT + slot / (slots - 1) * (WIDTH - LEFT - RIGHT)

    def y(share):
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" '
           'font-family="sans-serif" font-size="12">' % (WIDTH, HEIGHT, WIDTH, HEIGHT),
           '<rect width="%d" height="%d" fill="white"/>' % (WIDTH, HEIGHT),
           '<text x="%d" y="18"><tspan fill="#0b6e4f">REGISTERs a second</tspan> and '
           '<tspan fill="#a4452c">registered AORs</tspan> at the main registrar</text>' % LEFT]
    for share in (0, 0.25, 0.5, 0.75, 1):
        at = y(share / 1.1)
        out.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>' % (LEFT, WIDTH - RIGHT, at, at))
        out.append('<text x="%d" y="%.1f" text-anchor="end" fill="#0b6e4f">%d</text>' % (
            LEFT - 8, at + 4, share * most_rate / 1.1))
        out.append('<text x="%d" y="%.1f" fill="#a4452c">%d</text>' % (
            WIDTH - RIGHT + 8, at + 4, share * most_rows / 1.1))
    for second in range(0, int(end) + 1, 5):
        out.append('<text x="%.1f" y="%d" text-anchor="middle">%d s</text>' % (
            x((second + lead) / STEP), HEIGHT - BOTTOM + 18, second))
    for when, what, anchor in ((stopped - begin, "stops", "end"), (lead, "is ready", "start")):
        out.append('<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#888" stroke-dasharray="4"/>' % (
            x(when / STEP), x(when / STEP), TOP, HEIGHT - BOTTOM))
        out.append('<text x="%.1f" y="%d" text-anchor="%s" fill="#555">%s</text>' % (
            x(when / STEP), TOP + 10, anchor, what))
    out.append('<text x="%.1f" y="%d" text-anchor="middle">since it was ready</text>' % (
        (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8))
    for values, most, colour in ((rates, most_rate, "#0b6e4f"), (rows, most_rows, "#a4452c")):
        line = " ".join("%.1f,%.1f" % (x(i), y(v / most)) for i, v in enumerate(values))
        out.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>' % (line, colour))
    return "\n".join(out + ["</svg>"]) + "\n"
