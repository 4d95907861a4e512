"""Draw what was measured as SVG: ratios as bars, one group a workload; scaling as lines.

python benchmarks/plots.py bars hook.json docs/explanation/hook-sqlite.svg
python benchmarks/plots.py lines 1k.json 10k.json 100k.json docs/explanation/export-scaling.svg
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

COLOURS = {
    "attached, current": "#4c9f70",
    "attached, degraded": "#2f6db5",
    "empty listener": "#b9b9b9",
    "OpenTelemetry, no-op": "#e0a050",
    "OpenTelemetry, recording": "#c0504d",
}
LINES = {
    "JSON lines, the host's order": "#2f6db5",
    "JSON lines, table order": "#4c9f70",
    "CSV, table order": "#e0a050",
    "sqlite3 cursor + orjson, unordered": "#8a8a8a",
}
_BAR, _GAP, _SCALE, _LEFT = 13, 14, 190, 90
_WIDTH, _HEIGHT = 300, 170


def draw_bars(document: dict[str, Any]) -> str:
    """Draw the ratios to a bare engine.

    Args:
        document: What `hook.py --output` wrote.
    """
    y, parts = 20.0, []
    for workload, spreads in document["workloads"].items():
        shown = [label for label in COLOURS if label in spreads]
        middle = y + len(shown) * _BAR / 2 + 4
        parts.append(f'<text x="{_LEFT - 8}" y="{middle}" text-anchor="end">{workload}</text>')
        for label in shown:
            ratio = spreads[label]["ratio"]
            width = max(1.0, ratio * _SCALE)
            parts.append(
                f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR - 2}" '
                f'fill="{COLOURS[label]}"><title>{label}</title></rect>'
                f'<text x="{_LEFT + width + 4:.1f}" y="{y + 10}">{ratio:.2f}</text>'
            )
            y += _BAR
        y += _GAP
    parts.append(
        f'<line x1="{_LEFT + _SCALE}" y1="8" x2="{_LEFT + _SCALE}" y2="{y - _GAP}" '
        'stroke="#444" stroke-dasharray="3 3"/>'
        f'<text x="{_LEFT + _SCALE + 4}" y="14">bare engine = 1</text>'
    )
    return _svg([*parts, *_legend(COLOURS, y)], y + 36)


def draw_lines(documents: Sequence[dict[str, Any]]) -> str:
    """Draw CPU time a record, and memory, by the number of records.

    Args:
        documents: What `export.py --output` wrote, one for each size, smallest first.
    """
    panels: list[tuple[str, Callable[[dict[str, Any], str], float]]] = [
        (
            "CPU, µs a record",
            lambda document, name: document["contenders"][name]["cpu"] / document["records"] * 1e6,
        ),
        ("memory, MB", lambda document, name: document["contenders"][name]["memory"]),
    ]
    parts: list[str] = []
    for number, (title, value) in enumerate(panels):
        parts += _panel(documents, title, value, 60 + number * (_WIDTH + 90))
    return _svg([*parts, *_legend(LINES, _HEIGHT + 75)], _HEIGHT + 111)


def _panel(
    documents: Sequence[dict[str, Any]],
    title: str,
    value: Callable[[dict[str, Any], str], float],
    left: float,
) -> list[str]:
    names = [name for name in LINES if all(name in each["contenders"] for each in documents)]
    first, last = (math.log10(documents[at]["records"]) for at in (0, -1))
    most = max(value(each, name) for each in documents for name in names) * 1.1
    top, bottom = 30, 30 + _HEIGHT

    def x(document: dict[str, Any]) -> float:
        return left + (math.log10(document["records"]) - first) / (last - first) * _WIDTH

    parts = [
        f'<text x="{left}" y="18" font-weight="bold">{title}</text>',
        f'<path d="M{left} {top}V{bottom}H{left + _WIDTH}" fill="none" stroke="#444"/>',
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = bottom - share * _HEIGHT
        parts.append(
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{most * share:.0f}</text>'
        )
    parts += [
        f'<text x="{x(each):.1f}" y="{bottom + 16}" text-anchor="middle">{each["records"]:,}</text>'
        for each in documents
    ]
    for name in names:
        points = [(x(each), bottom - value(each, name) / most * _HEIGHT) for each in documents]
        path = "L".join(f"{px:.1f} {py:.1f}" for px, py in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{LINES[name]}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{LINES[name]}">'
            f"<title>{name}: {value(each, name):.1f}</title></circle>"
            for each, (px, py) in zip(documents, points, strict=True)
        ]
    middle = left + _WIDTH / 2
    parts.append(f'<text x="{middle}" y="{bottom + 32}" text-anchor="middle">records</text>')
    return parts


def _legend(colours: dict[str, str], y: float) -> list[str]:
    parts = []
    for number, (label, colour) in enumerate(colours.items()):
        x, line = 60 + number % 3 * 230, y + number // 3 * 18
        parts.append(f'<rect x="{x}" y="{line}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 14}" y="{line + 9}">{label}</text>')
    return parts


def _svg(parts: Sequence[str], height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 {height:.0f}" '
        'font-family="sans-serif" font-size="11">\n'
        '<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def main(kind: str, *files: str) -> None:
    """Draw the last file from the others."""
    documents = [json.loads(Path(file).read_text()) for file in files[:-1]]
    drawn = draw_lines(documents) if kind == "lines" else draw_bars(documents[0])
    Path(files[-1]).write_text(drawn)


if __name__ == "__main__":
    main(*sys.argv[1:])
