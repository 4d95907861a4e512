"""The sections of a page, each made of facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from landscape_compat.engine.report import FilledColumn, SchemaReport, TableReport
from landscape_compat.errors import count_of
from landscape_compat.export.page.markup import Child, Markup, join, tag
from landscape_compat.export.page.timeline import timeline
from landscape_compat.landscape.absent import ABSENT
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.records import Run

__all__ = ["counts", "digests", "drift", "identity", "runs", "say", "section", "table"]

_KINDS = {
    "absent": "was never recorded; it reads as NULL",
    "renamed": "is stored under another name",
    "derived": "follows exactly from other stored data",
    "mapped": "follows from a published mapping of values",
    "neutral": "is the least value that a reader accepts; it claims nothing",
}


def say(value: object) -> object:
    """Put a recorded value into words, with NULL and what was never recorded told apart."""
    if value is None:
        return tag("span", "NULL", class_="soft")
    if value is ABSENT:
        return tag("span", "not recorded", class_="soft")
    return value


def section(name: str, title: str, *content: Child) -> Markup:
    """Make a section with a heading that the page's list of contents leads to."""
    return tag("section", tag("h2", title, id=name), content, aria_labelledby=name)


def table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[Child]], *, numbers: int = 0
) -> Markup:
    """Make a table.

    Args:
        caption: What is in it.
        heads: The heads of its columns.
        rows: Its rows; the first cell of each is the row's head.
        numbers: How many columns at the end hold numbers.
    """
    looks = ["number" if at >= len(heads) - numbers else None for at in range(len(heads))]
    head = [
        tag("th", text, scope="col", class_=look) for text, look in zip(heads, looks, strict=True)
    ]
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            [tag("td", cell, class_=look) for cell, look in zip(row[1:], looks[1:], strict=True)],
        )
        for row in rows
    ]
    inner = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", head)),
        tag("tbody", body),
    )
    return tag("div", inner, class_="wide")


def identity(report: SchemaReport) -> Markup:
    """Say what the database is, and show its place among the known shapes."""
    found = report.identification
    shapes = known_shapes()
    here = [shape for shape in shapes if found and shape.name in {s.name for s in found.nearest}]
    notes = found.notes if found else ()
    return section(
        "what",
        "What it is",
        tag("p", _whereabouts(report)),
        timeline(shapes, here, report.target),
        tag("ul", [tag("li", note) for note in notes]) if notes else None,
    )


def _whereabouts(report: SchemaReport) -> str:
    found = report.identification
    if found is None or not found.nearest:
        return "No known shape of the schema comes near to what this database stores."
    names = " and ".join(shape.name for shape in found.nearest)
    if found.confidence == "exact":
        return f"Its tables and columns are exactly those of {names}."
    if found.confidence == "tie":
        return f"Its tables and columns are those of {names}, which cannot be told apart by them."
    differ = "column or whole table differs"
    if found.distance != 1:
        differ = "columns or whole tables differ"
    return f"It comes nearest to {names}: {found.distance} {differ}."


def drift(report: SchemaReport) -> Markup:
    """Say what each table lacks, and where a reader gets its values from."""
    degraded = [table for table in report.tables if table.is_degraded]
    missing = [table.name for table in degraded if table.drift.missing_table]
    lacking = [table for table in degraded if not table.drift.missing_table]
    current = [table.name for table in report.tables if not table.is_degraded]
    return section(
        "drift",
        "What it lacks",
        tag("p", f"Measured against {report.target}."),
        None if degraded else tag("p", "Nothing: it has all that is declared."),
        [_table_drift(table) for table in lacking],
        _names("Tables that are not stored; they read as no rows", missing),
        _names("Tables that are as declared", current),
        _names("Stored tables that are not declared", report.extra_tables),
        _legend(lacking),
    )


def _table_drift(report: TableReport) -> Markup:
    filled = [_filled(column) for column in report.filled]
    changed = [
        tag("li", tag("code", c.name), f" is stored as {c.stored}, declared as {c.declared}.")
        for c in (*report.drift.changed_types, *report.drift.noted)
    ]
    extra = [
        tag("li", tag("code", column.name), " is stored but not declared.")
        for column in report.drift.extra_columns
    ]
    number = len(report.filled)
    return tag(
        "details",
        tag(
            "summary",
            tag("code", report.name),
            f" — {number} {'column' if number == 1 else 'columns'} not stored as declared",
        ),
        tag(
            "p",
            "Fingerprint ",
            tag("code", report.fingerprint.digest if report.fingerprint else "none"),
            class_="soft",
        ),
        tag("ul", filled, changed, extra),
        open=True,
    )


def _filled(column: FilledColumn) -> Markup:
    return tag(
        "li",
        tag("code", column.column),
        " ",
        tag("span", column.kind, class_="word"),
        " ",
        "(stored, with values of another time) " if column.stored else None,
        column.refusal or column.why,
        tag("span", f" [{column.evidence}]", class_="soft") if column.evidence else None,
    )


def _names(title: str, names: Sequence[str]) -> Markup | None:
    if not names:
        return None
    listed = [tag("code", name) for name in names]
    between: list[Child] = []
    for code in listed:
        between += [code, ", "]
    return join(tag("h3", f"{title} ({len(names)})"), tag("p", between[:-1]))


def _legend(tables: Sequence[TableReport]) -> Markup | None:
    used = {column.kind for table in tables for column in table.filled}
    said = [
        tag("li", tag("span", kind, class_="word"), f" {meaning}.")
        for kind, meaning in _KINDS.items()
        if kind in used
    ]
    return join(tag("h3", "What the words mean"), tag("ul", said)) if said else None


def counts(found: Mapping[str, int]) -> Markup:
    """Say how many rows each stored table has."""
    rows = [(tag("code", name), f"{number:,}") for name, number in found.items()]
    total = ("all", f"{sum(found.values()):,}")
    return section(
        "counts",
        "What it holds",
        table("Rows of each stored table", ("Table", "Rows"), [*rows, total], numbers=1),
    )


def runs(found: Sequence[Run]) -> Markup:
    """List the runs."""
    rows = [
        (tag("code", run.run_id), say(run.status), say(run.started_at), say(run.completed_at))
        for run in found
    ]
    heads = ("Run", "Status", "Started", "Completed")
    return section(
        "runs",
        "Runs",
        table(f"{count_of(len(rows), 'run')}, the latest first", heads, rows)
        if rows
        else tag("p", "No run is stored."),
    )


def digests(found: Mapping[str, str]) -> Markup | None:
    """List the digests of the database's files."""
    if not found:
        return None
    rows = [(tag("code", name), tag("code", digest)) for name, digest in found.items()]
    return section(
        "digests",
        "Digests",
        tag(
            "p",
            "What the files were when this page was made; compare them with ",
            tag("code", "sha256sum"),
            ".",
        ),
        table("SHA-256 of each file", ("File", "Digest"), rows),
    )
