"""SVG charts that are readable on light and dark pages."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

WIDTH: Final = 720
LABELS: Final = 150  # pixels left of the bars
BAR: Final = 18
GREY: Final = "#808080"
OURS: Final = "#2f7ed8"
COLOURS: Final = (OURS, "#1a9850", "#e6842a", "#b04fc4", "#c0392b")


def bars(title: str, groups: Mapping[str, Mapping[str, float]]) -> str:
    """Draws the contenders of each group as bars, fastest first, in microseconds. The scale is logarithmic."""
    longest = max(value for group in groups.values() for value in group.values())
    least = min(value for group in groups.values() for value in group.values())
    parts, y = [_text(12, 22, title, size=15)], 40
    for name, group in groups.items():
        parts.append(_text(12, y + 14, name, size=13))
        y += 22
        for contender, value in sorted(group.items(), key=lambda item: item[1]):
            length = (WIDTH - LABELS - 90) * (0.04 + 0.96 * math.log(value / least) / math.log(longest / least))
            colour = OURS if contender.startswith("Ostiary") else GREY
            parts.append(_text(LABELS - 8, y + 13, contender, end=True))
            parts.append(f'<rect x="{LABELS}" y="{y}" width="{length:.0f}" height="{BAR - 4}" fill="{colour}"/>')
            parts.append(_text(LABELS + length + 6, y + 12, f"{value:.3g} µs"))
            y += BAR
        y += 8
    return _picture(y + 8, parts)


def lines(title: str, points: Sequence[float], unit: str, curves: Mapping[str, Sequence[float]]) -> str:
    """Draws curves over ``points``. Both scales are logarithmic, and values are in microseconds."""
    values = [value for curve in curves.values() for value in curve]
    low, high = 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)))
    left, top, width, height = 60, 40, WIDTH - 230, 240

    def x(point: float) -> float:
        return left + width * math.log(point / points[0]) / math.log(points[-1] / points[0])

    def y(value: float) -> float:
        return top + height * (1 - math.log(value / low) / math.log(high / low))

    parts = [_text(12, 22, title, size=15)]
    for exponent in range(round(math.log10(low)), round(math.log10(high)) + 1):
        level = y(10.0**exponent)
        parts.append(f'<path d="M{left} {level:.0f}H{left + width}" stroke="{GREY}" stroke-opacity=".35"/>')
        parts.append(_text(left - 6, level + 4, f"{10.0**exponent:g} µs", end=True))
    names = [f"{point:g}" for point in points[:-1]] + [f"{points[-1]:g}{unit}"]
    parts += [_text(x(point) - 8, top + height + 20, name) for point, name in zip(points, names, strict=True)]
    for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
        path = "L".join(f"{x(point):.1f} {y(value):.1f}" for point, value in zip(points, curve, strict=True))
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(left + width + 10, y(curve[-1]) + 4, name, colour=colour))
    return _picture(top + height + 34, parts)


def _text(x: float, y: float, text: str, *, size: int = 12, end: bool = False, colour: str = GREY) -> str:
    anchor = ' text-anchor="end"' if end else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}"{anchor}>{escape(text)}</text>'


def _picture(height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif">'
    return "\n".join([head, *parts, "</svg>"]) + "\n"
