"""A bar chart as SVG, for figures that people would rather look at than read."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import Template

WIDTH, BAR, GAP, LEFT, TOP = 860, 15, 26, 250, 60
COLOURS = ("#0b6e4f", "#9aa0a6", "#c1666b", "#d4a24c", "#4a6fa5", "#7d5ba6")

_TEMPLATE = Template(
    """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{ width }} {{ height }}" font-family="sans-serif"
 font-size="12">
<rect width="100%" height="100%" fill="white"/>
{% for entry in legend %}<rect x="{{ entry.x }}" y="{{ entry.y }}" width="11" height="11" fill="{{ entry.colour }}"/>
<text x="{{ entry.x + 16 }}" y="{{ entry.y + 10 }}" fill="#333">{{ entry.name | e }}</text>
{% endfor %}
{% for group in groups -%}
<text x="{{ left - 10 }}" y="{{ group.middle }}" text-anchor="end" fill="#111">{{ group.name | e }}</text>
{% for bar in group.bars -%}
<rect x="{{ left }}" y="{{ bar.y }}" width="{{ bar.width }}" height="{{ thick - 3 }}" fill="{{ bar.colour }}"/>
<text x="{{ left + bar.width + 5 }}" y="{{ bar.y + 10 }}" font-size="10" fill="#333">{{ bar.figure }}</text>
{% endfor %}{% endfor %}<text x="{{ left }}" y="{{ height - 10 }}" fill="#333">{{ unit | e }}</text>
</svg>
"""
)


def bars(groups: Mapping[str, Mapping[str, float]], *, unit: str) -> str:
    """group -> series -> figure, drawn as horizontal bars from zero."""
    series = list(dict.fromkeys(name for figures in groups.values() for name in figures))
    colours = dict(zip(series, COLOURS, strict=False))
    most = max(figure for figures in groups.values() for figure in figures.values())
    drawn, y = [], TOP
    for name, figures in groups.items():
        lines = [
            {
                "y": y + number * BAR,
                "width": round(figure / most * (WIDTH - LEFT - 80), 1),
                "colour": colours[one],
                "figure": f"{figure:,.0f}",
            }
            for number, (one, figure) in enumerate(figures.items())
        ]
        drawn.append({"name": name, "middle": y + len(lines) * BAR // 2 + 2, "bars": lines})
        y += len(lines) * BAR + GAP
    legend = [
        {"x": 20 + number % 3 * 280, "y": 12 + number // 3 * 20, "colour": colours[name], "name": name}
        for number, name in enumerate(series)
    ]
    drawing: str = _TEMPLATE.render(
        width=WIDTH, height=y + 20, left=LEFT, thick=BAR, legend=legend, groups=drawn, unit=unit
    )
    return drawing
