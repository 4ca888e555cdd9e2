"""Small SVG plots: bars and curves, legible on light and on dark ground, without any library.

A colour belongs to a name, so that a system looks the same in every plot; each curve is labelled
where it ends as well as in the legend's order, and each bar with its figure.
"""
import math
from xml.sax.saxutils import escape

WIDTH = 720
LEFT, RIGHT, TOP, BOTTOM = 64, 168, 56, 46
STYLE = """
  svg { background: #ffffff; color: #1b1f24; font: 13px system-ui, sans-serif; }
  text { fill: currentColor; } .title { font-size: 15px; font-weight: 600; } .small { font-size: 11px; }
  .grid { stroke: #d6dae0; stroke-width: 1; } .axis { stroke: #6b7480; stroke-width: 1; }
  .c0 { --c: #0b62c4; } .c1 { --c: #b4530a; } .c2 { --c: #6f42c1; } .c3 { --c: #147a3d; } .c4 { --c: #b0264a; } .c5 { --c: #5c6670; } .c6 { --c: #0d7c86; }
  .line { fill: none; stroke: var(--c); stroke-width: 2; } .dot, .bar { fill: var(--c); } .range { stroke: currentColor; stroke-width: 1.2; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; color: #e6edf3; } .grid { stroke: #30363d; } .axis { stroke: #8b949e; }
    .c0 { --c: #58a6ff; } .c1 { --c: #f0883e; } .c2 { --c: #bc8cff; } .c3 { --c: #3fb950; } .c4 { --c: #ff7b92; } .c5 { --c: #9aa4af; } .c6 { --c: #39c5cf; }
  }
"""
COLOURS = ["sallyport-edge", "kamailio stateless", "kamailio tm", "haproxy bytes only", "kamailio plain",
           "bare OpenSSL server", "sallyport-edge, no session log"]


def colour(name, others):
    for n, known in enumerate(COLOURS):
        if name == known:
            return f"c{n}"
    return f"c{others % 7}"


def number(v):
    if v >= 10000:
        return f"{v:,.0f}"
    return f"{v:.0f}" if v >= 100 or v == int(v) else f"{v:.1f}" if v >= 10 else f"{v:.2f}"


def short(v):
    """For an axis: 10k rather than 10,000."""
    return f"{v / 1000:g}k" if v >= 1000 else f"{v:g}"


def document(height, title, body):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
            f'aria-label="{escape(title, {chr(34): "&quot;"})}">\n<style>{STYLE}</style>\n'
            f'<text class="title" x="16" y="24">{escape(title)}</text>\n' + "\n".join(body) + "\n</svg>\n")


def bars(title, unit, rows):
    """rows: (name, median, least, most). One bar each, with its range."""
    step, left, right = 28, 230, 90
    most = max(row[3] for row in rows) or 1
    scale = (WIDTH - left - right) / most
    body = []
    for n, (name, median, least, greatest) in enumerate(rows):
        y = 44 + n * step
        body.append(f'<g class="{colour(name, n)}"><text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>'
                    f'<rect class="bar" x="{left}" y="{y}" width="{max(median * scale, 1):.1f}" height="18"/></g>')
        if greatest > least:
            body.append(f'<path class="range" d="M{left + least * scale:.1f} {y + 9}H{left + greatest * scale:.1f}'
                        f'M{left + least * scale:.1f} {y + 5}v8M{left + greatest * scale:.1f} {y + 5}v8"/>')
        body.append(f'<text x="{left + max(greatest, median) * scale + 8:.1f}" y="{y + 14}">{number(median)}</text>')
    y = 44 + len(rows) * step
    body.append(f'<text class="small" x="{left}" y="{y + 14}">{escape(unit)}</text>')
    return document(y + 28, title, body)


def nice_top(v):
    """The least 1, 2, 2.5 or 5 times a power of ten that is not below v."""
    power = 10 ** math.floor(math.log10(v))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= v * 0.9999)


def spread_labels(wanted, least):
    """The same heights, moved apart so that no two labels touch."""
    placed = {}
    last = -1e9
    for name, y in sorted(wanted.items(), key=lambda item: item[1]):
        last = max(y, last + least)
        placed[name] = last
    return placed


def curves(title, xlabel, ylabel, series, logx=True, logy=False):
    """series: {name: [(x, y), ...]} with x > 0."""
    height = 360
    bottom = height - BOTTOM
    xs = sorted({x for points in series.values() for x, _ in points})
    ys = [y for points in series.values() for _, y in points]
    low, high = (min(ys), max(ys)) if logy else (0, nice_top(max(ys)))
    if logy:
        low, high = 10 ** math.floor(math.log10(low)), nice_top(high)

    def at_x(x):
        if len(xs) == 1:
            return (LEFT + WIDTH - RIGHT) / 2
        f = math.log if logx else float
        return LEFT + (WIDTH - LEFT - RIGHT) * (f(x) - f(xs[0])) / (f(xs[-1]) - f(xs[0]))

    def at_y(y):
        f = math.log if logy else float
        return bottom - (bottom - TOP) * (f(y) - f(low)) / (f(high) - f(low))

    marks = [low * 10 ** n for n in range(12) if low * 10 ** n <= high * 1.001] if logy else [high * n / 5 for n in range(6)]
    body = []
    for y in marks:
        body.append(f'<path class="grid" d="M{LEFT} {at_y(y):.1f}H{WIDTH - RIGHT}"/>'
                    f'<text class="small" x="{LEFT - 8}" y="{at_y(y) + 4:.1f}" text-anchor="end">{short(round(y, 3))}</text>')
    last = -1e9
    for x in xs:
        if at_x(x) - last > 34:
            last = at_x(x)
            body.append(f'<text class="small" x="{last:.1f}" y="{bottom + 18}" text-anchor="middle">{short(x)}</text>')
    body.append(f'<path class="axis" d="M{LEFT} {bottom}H{WIDTH - RIGHT}"/>')
    body.append(f'<text class="small" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{height - 10}" text-anchor="middle">{escape(xlabel)}</text>'
                f'<text class="small" x="{LEFT}" y="{TOP - 10}">{escape(ylabel)}</text>')
    labels = spread_labels({name: at_y(points[-1][1]) for name, points in series.items()}, 15)
    for n, (name, points) in enumerate(series.items()):
        path = "".join(f'{"ML"[i > 0]}{at_x(x):.1f} {at_y(y):.1f}' for i, (x, y) in enumerate(points))
        dots = "".join(f'<circle class="dot" cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3"/>' for x, y in points)
        body.append(f'<g class="{colour(name, n)}"><path class="line" d="{path}"/>{dots}'
                    f'<circle class="dot" cx="{WIDTH - RIGHT + 12}" cy="{labels[name]:.1f}" r="4"/></g>'
                    f'<text class="small" x="{WIDTH - RIGHT + 20}" y="{labels[name] + 4:.1f}">{escape(name)}</text>')
    return document(height, title, body)
