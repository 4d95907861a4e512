"""Talking to people: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
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
    """Send the library's events to standard error as text, or nowhere.

    The warnings that say the same as the events are not shown beside them.
    """
    import logging
    import warnings

    import structlog

    from landscape_compat.errors import DegradedReadWarning

    level = logging.CRITICAL if quiet else logging.INFO
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    warnings.simplefilter("ignore", DegradedReadWarning)
