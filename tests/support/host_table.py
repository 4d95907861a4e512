"""The matrix as a document: a summary, one table a version, and the reasons of every refusal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from support.host_result import Cell, Comparison, gather, listed

__all__ = ["document"]

_PREFACE = """\
# Compatibility

`tests/host_matrix.py` printed this page: do not edit it. Versions of the host read databases that
versions of it wrote. In each cell the host's own code, unchanged, opened a copy of a database as
its own callers do, in a process of its own, and was asked for all that it offers to readers: the
export of every run (flat, grouped, unsigned), the lineage of every token and row, the command
`elspeth explain`, every tool of the MCP analyser, and the screen of the TUI. The copy's bytes, its
time and its folder's listing were compared before and after.

A cell is **whole** if every run was exported, every record that the database's own build exported
is there, each value in it is equal or is given by a rule that is named, every token was explained,
no surface failed, and nothing was touched. It is **partly** read if the export came to its end but
another surface was refused or failed, **refused** if the shim said by a typed error why it can't be
honest, and **fails** otherwise. A row is explained by its own id through outcomes of its tokens,
which were not recorded before 2026-01-21: where they were not, its tokens are explained instead.
"""

_COLUMNS = (
    "databases",
    "native",
    "with the shim",
    "records",
    "values equal",
    "values mapped",
    "records of types it never exports",
    "rows explained",
    "rules",
    "absent",
)


def document(cells: Sequence[Cell]) -> str:
    """Write the document.

    Args:
        cells: Every cell, compared.
    """
    rules = _numbered(cells)
    parts = [_PREFACE, _totals(cells), _overview(cells)]
    for host, found in groupby(cells, key=lambda cell: cell.host):
        parts.append(f"## Read by {host.name}\n\n{_reader(list(found), rules)}")
    parts += [_legend(rules), _reasons(cells)]
    return "\n".join(part for part in parts if part)


def _totals(cells: Sequence[Cell]) -> str:
    lines = [["", "databases", "exported", "whole", "refused", "fail", "touched"]]
    for shimmed in (False, True):
        half = [cell for cell in cells if cell.shimmed is shimmed]
        if not half:
            continue
        count = Counter(cell.outcome for cell in half)
        touched = sum(bool(cell.result.get("changed")) for cell in half)
        exported = count["whole"] + count["partly"]
        figures = (len(half), exported, count["whole"], count["refused"], count["fails"], touched)
        name = "with the shim" if shimmed else "native"
        lines.append([name, *(f"{figure:,}" for figure in figures)])
    return _table(lines)


def _overview(cells: Sequence[Cell]) -> str:
    hosts = list(dict.fromkeys(cell.host for cell in cells))
    builds = sorted({cell.database.parent.name for cell in cells})
    lines = [["written by", "databases", *(host.name for host in hosts)]]
    for build in builds:
        own = [cell for cell in cells if cell.database.parent.name == build]
        total = len({cell.database for cell in own})
        by_host = [[cell for cell in own if cell.host == host] for host in hosts]
        lines.append([build, str(total), *(_whole(found) for found in by_host)])
    return f"## Whole cells, native → with the shim\n\n{_table(lines)}"


def _whole(cells: Iterable[Cell]) -> str:
    found: dict[bool, list[bool]] = {}
    for cell in cells:
        found.setdefault(cell.shimmed, []).append(cell.outcome == "whole")
    return " → ".join(f"{sum(found[half])} of {len(found[half])}" for half in sorted(found))


def _reader(cells: list[Cell], rules: dict[str, int]) -> str:
    lines = [list(_COLUMNS)]
    rows: dict[tuple[str, ...], list[Cell]] = {}
    for _, found in groupby(sorted(cells, key=_place), key=lambda cell: cell.database):
        halves = {cell.shimmed: cell for cell in found}
        best = halves.get(True) or halves[False]
        said = [_said(halves[shimmed]) if shimmed in halves else "" for shimmed in (False, True)]
        rows.setdefault((best.database.parent.name, *said, *_filled(best, rules)), []).append(best)
    for (build, native, shimmed, *filled), alike in rows.items():
        names = ", ".join(cell.database.stem for cell in alike)
        comparisons = [cell.comparison or Comparison() for cell in alike]
        told, asked = (sum(counts) for counts in zip(*(cell.rows for cell in alike), strict=True))
        figures = [
            f"{sum(len(cell.records) for cell in alike):,}",
            f"{sum(one.equal for one in comparisons):,}",
            listed(sum((one.mapped for one in comparisons), Counter())),
            listed(sum((one.unknown for one in comparisons), Counter())),
            f"{told:,} of {asked:,}",
        ]
        lines.append([f"{build}: {names}", native, shimmed, *figures, *filled])
    return _table(lines)


def _place(cell: Cell) -> tuple[Any, ...]:
    return (cell.database.parent.name, cell.database.name)


def _said(cell: Cell | None) -> str:
    if cell is None:
        return ""
    # How it fails without the shim is told by the export alone: the other surfaces fail alike.
    problems = cell.problems if cell.shimmed or cell.exported else cell.problems[:1]
    return "; ".join((f"**{cell.outcome}**", *problems))


def _filled(cell: Cell, rules: dict[str, int]) -> tuple[str, str]:
    numbers = sorted(rules[rule] for rule in _rules(cell))
    absent = Counter(
        "tables" if kind == "absent table" else "columns"
        for kind in cell.fills.values()
        if kind.startswith("absent")
    )
    return ", ".join(map(str, numbers)), listed(absent)


def _rules(cell: Cell) -> list[str]:
    return [
        f"{target} ({kind})" for target, kind in cell.fills.items() if not kind.startswith("absent")
    ]


def _numbered(cells: Sequence[Cell]) -> dict[str, int]:
    names = sorted({rule for cell in cells for rule in _rules(cell)})
    return {name: number for number, name in enumerate(names, 1)}


def _legend(rules: dict[str, int]) -> str:
    if not rules:
        return ""
    lines = [["", "column (kind of rule)"], *([str(n), f"`{rule}`"] for rule, n in rules.items())]
    return f"## Rules that filled a column\n\n{_table(lines)}"


def _reasons(cells: Sequence[Cell]) -> str:
    shimmed = [cell for cell in cells if cell.shimmed and cell.problems]
    if not shimmed:
        return ""
    lines = [["what", "where"]]
    pairs = ((problem, cell) for cell in shimmed for problem in cell.problems)
    where = gather((problem, f"{c.host.name} on {c.database.parent.name}") for problem, c in pairs)
    for problem, places in where:
        lines.append([problem, listed(Counter(places))])
    return f"## Cells that are not whole with the shim, and why\n\n{_table(lines)}"


def _table(lines: Sequence[Sequence[str]]) -> str:
    head, *body = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    rows = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
