"""Draw what `hook.py` measured as bars, one group a workload, as SVG.

python benchmarks/plots.py hook.json docs/explanation/hook-sqlite.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

COLOURS = {
    "attached, current": "#4c9f70",
    "attached, degraded": "#2f6db5",
    "empty listener": "#b9b9b9",
    "OpenTelemetry, no-op": "#e0a050",
    "OpenTelemetry, recording": "#c0504d",
}
_BAR, _GAP, _SCALE, _LEFT = 13, 14, 190, 90


def draw(document: dict[str, dict[str, dict[str, dict[str, float]]]]) -> str:
    """Draw the ratios to a bare engine."""
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
    for number, (label, colour) in enumerate(COLOURS.items()):
        x = _LEFT + number % 3 * 190
        line = y + number // 3 * 18
        parts.append(f'<rect x="{x}" y="{line}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 14}" y="{line + 9}">{label}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 {y + 36:.0f}" '
        'font-family="sans-serif" font-size="11">\n'
        '<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(draw(json.loads(Path(sys.argv[1]).read_text())))
