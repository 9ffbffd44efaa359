"""bench/plot: cost against number of AORs, as SVG, with nothing but Python.

The number of AORs is drawn on a logarithmic scale, the cost on a linear one from 0.
"""

import math

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 120, 30, 50
SERIES = {"midreg": "#0b6e4f", "Kamailio": "#a4452c"}


def nice_step(most):
    """A step that makes four to eight lines."""
    step = 10 ** math.floor(math.log10(most / 4))
    for factor in (1, 2, 5, 10):
        if most / (step * factor) <= 8:
            return step * factor
    return step * 10


def curve_svg(points):
    """`points`: [{"aors": N, "midreg": µs, "Kamailio": µs}, ...]"""
    low, high = math.log10(points[0]["aors"]), math.log10(points[-1]["aors"])
    most = max(point[name] for point in points for name in SERIES) * 1.1
    step = nice_step(most)

    def x(aors):
        return LEFT + (math.log10(aors) - low) / (high - low or 1) * (WIDTH - LEFT - RIGHT)

    def y(cost):
        return HEIGHT - BOTTOM - cost / most * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
           f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="18">absorbed refresh: CPU µs of the server for each</text>']
    for i in range(int(most / step) + 1):
        at = y(i * step)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" '
                   'stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{i * step:g}</text>')
    for point in points:
        at = x(point["aors"])
        out.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">'
                   f'{point["aors"]:,}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" '
               'text-anchor="middle">AORs</text>')
    for name, colour in SERIES.items():
        places = [(x(point["aors"]), y(point[name])) for point in points]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="{colour}"/>' for a, b in places]
        out.append(f'<text x="{places[-1][0] + 10:.1f}" y="{places[-1][1] + 4:.1f}" '
                   f'fill="{colour}">{name} {points[-1][name]:.1f}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"
