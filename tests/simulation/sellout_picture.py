"""A line chart as SVG, both axes from zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from jinja2 import Template

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 440, 70, 190, 20, 60
COLOURS = ("#0b6e4f", "#4a6fa5", "#c1666b", "#d4a24c", "#9aa0a6", "#7d5ba6", "#111111")

_TEMPLATE = Template(
    """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{ width }} {{ height }}" font-family="sans-serif"
 font-size="12">
<rect width="100%" height="100%" fill="white"/>
{% for mark in marks_up -%}
<line x1="{{ left }}" y1="{{ mark.y }}" x2="{{ right }}" y2="{{ mark.y }}" stroke="#ddd"/>
<text x="{{ left - 8 }}" y="{{ mark.y + 4 }}" text-anchor="end" fill="#333">{{ mark.figure }}</text>
{% endfor %}{% for mark in marks_across -%}
<text x="{{ mark.x }}" y="{{ bottom + 18 }}" text-anchor="middle" fill="#333">{{ mark.figure }}</text>
{% endfor %}
<line x1="{{ left }}" y1="{{ bottom }}" x2="{{ right }}" y2="{{ bottom }}" stroke="#333"/>
{% for line in drawn -%}
<polyline points="{{ line.points }}" fill="none" stroke="{{ line.colour }}" stroke-width="2"
 {%- if line.is_dashed %} stroke-dasharray="6 4"{% endif %}/>
{% for dot in line.dots %}<circle cx="{{ dot.x }}" cy="{{ dot.y }}" r="3" fill="{{ line.colour }}"/>{% endfor %}
<line x1="{{ right + 16 }}" y1="{{ line.legend }}" x2="{{ right + 40 }}" y2="{{ line.legend }}"
 stroke="{{ line.colour }}" stroke-width="2"{% if line.is_dashed %} stroke-dasharray="6 4"{% endif %}/>
<text x="{{ right + 46 }}" y="{{ line.legend + 4 }}" fill="#111">{{ line.name | e }}</text>
{% endfor %}
<text x="{{ (left + right) / 2 }}" y="{{ bottom + 42 }}" text-anchor="middle" fill="#111">{{ across | e }}</text>
<text x="18" y="{{ (top + bottom) / 2 }}" text-anchor="middle" fill="#111"
 transform="rotate(-90 18 {{ (top + bottom) / 2 }})">{{ up | e }}</text>
</svg>
"""
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line through `points`, each `(across, up)`."""

    name: str
    points: Sequence[tuple[float, float]]
    is_dashed: bool = False


def lines(drawn: Sequence[Line], *, across: str, up: str) -> str:
    """The chart. `across`, `up`: what the axes are."""
    furthest = max(x for line in drawn for x, _ in line.points)
    highest = ceil(max(1.0, *(y for line in drawn for _, y in line.points)))
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def at_x(x: float) -> float:
        return round(LEFT + x / furthest * (right - LEFT), 1)

    def at_y(y: float) -> float:
        return round(bottom - y / highest * (bottom - TOP), 1)

    step = max(1, ceil(highest / 10))
    shown = [
        {
            "name": line.name,
            "colour": COLOURS[number % len(COLOURS)],
            "is_dashed": line.is_dashed,
            "legend": TOP + 14 + number * 22,
            "dots": [{"x": at_x(x), "y": at_y(y)} for x, y in line.points],
            "points": " ".join(f"{at_x(x)},{at_y(y)}" for x, y in line.points),
        }
        for number, line in enumerate(drawn)
    ]
    rendered: str = _TEMPLATE.render(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=right,
        top=TOP,
        bottom=bottom,
        across=across,
        up=up,
        drawn=shown,
        marks_up=[{"y": at_y(y), "figure": y} for y in range(0, highest + 1, step)],
        marks_across=[
            {"x": at_x(x), "figure": f"{x:g}"} for x in sorted({x for line in drawn for x, _ in line.points})
        ],
    )
    return rendered
