"""What one version of the host made of one database, and how that compares with its own build."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

__all__ = [
    "SURFACES",
    "Cell",
    "Comparison",
    "Host",
    "compare",
    "compared",
    "gather",
    "listed",
    "plain",
]

# What tells one record of a type from the others.
_KEYS = {
    "artifact": ("artifact_id",),
    "batch": ("batch_id",),
    "batch_member": ("batch_id", "token_id"),
    "call": ("call_id",),
    "edge": ("edge_id",),
    "node": ("node_id",),
    "node_state": ("state_id",),
    "operation": ("operation_id",),
    "routing_event": ("event_id",),
    "row": ("row_id",),
    "run": ("run_id",),
    "scheduler_event": ("event_id",),
    "secret_resolution": ("resolution_id",),
    "sink_effect": ("effect_id",),
    "sink_effect_attempt": ("attempt_id",),
    "sink_effect_member": ("effect_id", "ordinal"),
    "sink_effect_stream": ("stream_id",),
    "token": ("token_id",),
    "token_outcome": ("outcome_id",),
    "token_parent": ("token_id", "ordinal"),
    "transform_error": ("error_id",),
    "validation_error": ("error_id",),
    "web_plugin_policy": ("run_id",),
}
_TABLES = {"batch": "batches", "web_plugin_policy": "run_web_plugin_policy"}
_COLUMNS = {
    "config": "config_json",
    "schema_fields": "schema_fields_json",
    "settings": "settings_json",
}
# A manifest tells of the export that it ends, not of the run: no two exports have the same.
_DERIVED = {"manifest"}
# Raw rows, which builds since July 2026 withhold from an export unless told otherwise. Here they
# are told otherwise, so a row that an own build withheld has nothing to be compared with.
_WITHHELD = {"row_data_json"}
# An error message is cut at this length; `--json` has all that was kept.
_WIDTH = 120


# What the host offers to readers, by the names that `host_cell.py` gives it.
SURFACES = ("export", "explain", "command", "analyser", "screen")


@dataclass(frozen=True, slots=True)
class Host:
    """One checkout: its name, where it lies, and the interpreter that it runs under."""

    name: str
    path: Path
    python: Path


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of the records that the database's own build exported.

    Args:
        equal: Values that are equal.
        mapped: Values that differ, by the rule that gives the column its values.
        different: Values that differ and that no rule explains, by field.
        lost: Records that are missing, by type.
        extra: Records of an expected type that the own build did not export.
        unknown: Records of types that this version never exports.
    """

    equal: int = 0
    mapped: Counter[str] = field(default_factory=Counter)
    different: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    extra: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Cell:
    """One version reading one database, with or without the shim.

    Args:
        host: The version.
        database: The database.
        shimmed: Whether the shim was installed.
        result: What `host_cell.py` answered.
        comparison: How the export compares with that of the database's own build.
    """

    host: Host
    database: Path
    shimmed: bool
    result: dict[str, Any]
    comparison: Comparison | None = None

    @property
    def exported(self) -> bool:
        """Tell whether every run was exported to its end."""
        return "records" in self.result.get("export", {})

    @property
    def records(self) -> list[dict[str, Any]]:
        """Give the records exported."""
        records: list[dict[str, Any]] = self.result.get("export", {}).get("records", [])
        return records

    @property
    def fills(self) -> dict[str, str]:
        """Give the kind of the rule behind each column that the shim fills."""
        fills: dict[str, str] = self.result.get("export", {}).get("fills") or {}
        return fills

    @property
    def refusal(self) -> str | None:
        """Give the reason, if the shim refused the export on purpose."""
        error = self.result.get("export", {}).get("error", {})
        return error["message"] if "typed" in error else None

    @property
    def rows(self) -> tuple[int, int]:
        """Count the rows whose lineage was told by their own id, and all that were asked for.

        The host tells it by the outcomes of the row's tokens, which were not recorded before
        2026-01-21; by their tokens these rows are explained all the same.
        """
        answers: dict[str, int] = self.result.get("explain", {}).get("row", {})
        told = answers.get("explained", 0) + answers.get("ambiguous", 0)
        return told, sum(answers.values())

    @property
    def problems(self) -> tuple[str, ...]:
        """Say what keeps this cell from being whole; nothing if it is."""
        return (*self._failed(), *self._unlike(), *self._touched())

    @property
    def outcome(self) -> str:
        """Sum the cell up in a word."""
        if self.exported:
            return "partly" if self.problems else "whole"
        return "refused" if self.refusal else "fails"

    def _failed(self) -> Iterable[str]:
        result = self.result
        answers = {name: result.get(name) or {} for name in SURFACES}
        errors = {name: answer["error"] for name, answer in answers.items() if "error" in answer}
        if result.get("failure"):
            errors["process"] = result["failure"]
        for tool, error in answers["analyser"].get("errors", {}).items():
            errors[f"analyser's {tool}"] = error
        for error, where in gather((_described(error), name) for name, error in errors.items()):
            yield f"{', '.join(where)}: {error}"
        for answer, count in answers["explain"].get("token", {}).items():
            if answer != "explained":
                yield f"explain: {count} tokens {answer}"

    def _unlike(self) -> Iterable[str]:
        comparison = self.comparison or Comparison()
        if comparison.lost:
            yield f"records lost: {listed(comparison.lost)}"
        if comparison.extra:
            yield f"records too many: {listed(comparison.extra)}"
        if comparison.different:
            yield f"values differ: {listed(comparison.different)}"

    def _touched(self) -> Iterable[str]:
        if self.result.get("changed"):
            yield "the file was changed"
        # What the shim did not open went down the host's own path, and since June 2026 the
        # host's own read-only opening of a WAL file leaves its sidecars.
        export = self.result.get("export", {})
        own_path = self.shimmed and self.exported and not export.get("attached", True)
        if self.result.get("left_behind") and not own_path:
            yield f"left behind: {', '.join(self.result['left_behind'])}"
        if self.result.get("wrote_elsewhere"):
            yield f"wrote elsewhere: {', '.join(self.result['wrote_elsewhere'])}"


def compared(cells: list[Cell]) -> list[Cell]:
    """Compare every export with what the database's own build exported.

    Args:
        cells: All cells; what a version exports anywhere is what it can export.
    """
    vocabulary: dict[str, set[str]] = defaultdict(set)
    for cell in cells:
        vocabulary[cell.host.name] |= {record["record_type"] for record in cell.records}
    found = []
    for cell in cells:
        beside = cell.database.with_suffix(".expected.jsonl")
        comparison = None
        if cell.exported and beside.exists():
            expected = [json.loads(line) for line in beside.read_text().splitlines()]
            known = vocabulary[cell.host.name]
            comparison = compare(expected, cell.records, known, cell.fills)
        found.append(replace(cell, comparison=comparison))
    return found


def compare(
    expected: list[dict[str, Any]],
    exported: list[dict[str, Any]],
    vocabulary: set[str],
    fills: dict[str, str],
) -> Comparison:
    """Compare an export with the expected records, value by value.

    Args:
        expected: What the database's own build exported.
        exported: What this version exported.
        vocabulary: The record types that this version exports at all.
        fills: Column to the kind of the rule that gives its values, as `table.column`.
    """
    found = Comparison()
    equal = 0
    left = {_key(record): record for record in exported if record["record_type"] not in _DERIVED}
    for record in expected:
        kind = record["record_type"]
        own = left.pop(_key(record), None)
        if kind in _DERIVED:
            continue
        if own is None:
            (found.lost if kind in vocabulary else found.unknown)[kind] += 1
            continue
        for name in record.keys() & own.keys():
            if name in _WITHHELD and record[name] is None:
                continue
            column = f"{_TABLES.get(kind, f'{kind}s')}.{_COLUMNS.get(name, name)}"
            if record[name] == own[name]:
                equal += 1
            elif column in fills:
                found.mapped[f"{column} ({fills[column]})"] += 1
            else:
                found.different[f"{kind}.{name}"] += 1
    kinds = {record["record_type"] for record in expected}
    found.extra.update(kind for kind, *_ in left if kind in kinds)
    return replace(found, equal=equal)


def gather(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Gather the second members by the first, in order of appearance."""
    found: dict[str, list[str]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return list(found.items())


def listed(counts: Counter[str]) -> str:
    """Write counts as words."""
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def plain(cell: Cell) -> dict[str, Any]:
    """Give a cell as one JSON object, with its records counted."""
    result = {**cell.result}
    if cell.exported:
        counts = Counter(record["record_type"] for record in cell.records)
        result["export"] = {"records": counts, "fills": cell.result["export"]["fills"]}
    return {
        "host": cell.host.name,
        "database": f"{cell.database.parent.name}/{cell.database.name}",
        "shimmed": cell.shimmed,
        "outcome": cell.outcome,
        "problems": cell.problems,
        **result,
    }


def _key(record: dict[str, Any]) -> tuple[Any, ...]:
    kind = record["record_type"]
    return (kind, *(record[name] for name in _KEYS.get(kind, ())))


def _described(error: dict[str, str]) -> str:
    if "typed" in error:
        return f"refused: {error['message']}"
    text = f"{error['type']}: {error['message']}"
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH].rpartition(' ')[0]} …"
