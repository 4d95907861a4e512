"""Talking to people: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, MutableMapping, Sequence
from typing import Any

from landscape_compat.errors import printable

__all__ = ["complain", "print_json", "print_table", "say", "set_up_logging"]

JSON_VERSION = 1


def say(text: str) -> None:
    """Say something that is not a result."""
    print(printable(text), file=sys.stderr)


def complain(error: object) -> None:
    """Say what went wrong, in one line."""
    say(f"landscape-compat: {error}")


def print_json(kind: str, value: dict[str, Any]) -> None:
    """Print a result as one JSON object that names its kind and the version of its form."""
    head = {"kind": kind, "version": JSON_VERSION}
    print(json.dumps({**head, **value}, ensure_ascii=False, indent=2))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a result as columns of text."""
    cells = [list(heads), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(padded).rstrip())


def set_up_logging(*, quiet: bool) -> None:
    """Send the library's events to standard error, a line each, or nowhere.

    The warnings that say the same as the events are not shown beside them.
    """
    import logging
    import warnings

    import structlog

    from landscape_compat.errors import DegradedReadWarning

    level = logging.CRITICAL if quiet else logging.INFO
    structlog.configure(
        processors=[_render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    warnings.simplefilter("ignore", DegradedReadWarning)


def _render(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    """Say an event in a line for people; the ones without a line of their own as fields."""
    import structlog

    name = str(event["event"]).rpartition(".")[2]
    if name == "database_degraded":
        missing = ", ".join(event["missing_tables"]) or "none"
        text = f"{event['database']} has another schema: {event['shape']}. "
        text += f"Tables not stored: {missing}."
    elif name == "table_degraded":
        if event["missing_table"]:
            raise structlog.DropEvent  # said when the database was opened
        columns = (f"{column} ({kind})" for column, kind in event["rules"].items())
        text = f"{event['table']}: not stored as declared: {', '.join(columns)}"
    else:
        fields = (f"{key}={value}" for key, value in event.items() if key != "event")
        text = f"{name}: {' '.join(fields)}"
    return printable(f"warning: {text}")
