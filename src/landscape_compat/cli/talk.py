"""Talking to people: results on standard output, everything else on standard error."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from landscape_compat.errors import printable

__all__ = [
    "JSON_VERSION",
    "at_least_one",
    "complain",
    "counted",
    "print_json",
    "print_pairs",
    "print_table",
    "say",
    "set_up_logging",
]

JSON_VERSION = 1

T = TypeVar("T")

_GAP = "  "
_LEAST_ROOM = 20
_TELL_EVERY = 256
_TELL_SECONDS = 0.2


def say(text: str) -> None:
    """Say something that is not a result."""
    # Where it goes to may be full, too; then the exit code says it alone.
    with suppress(OSError):
        print(printable(text), file=sys.stderr)


def complain(error: object) -> None:
    """Say what went wrong, in one line."""
    say(f"landscape-compat: {error}")


def print_json(kind: str, value: dict[str, Any]) -> None:
    """Print a result as one JSON object that names its kind and the version of its form."""
    head: dict[str, Any] = {"kind": kind, "version": JSON_VERSION}
    assert not head.keys() & value.keys(), "what a result is called would be hidden"
    print(json.dumps({**head, **value}, ensure_ascii=False, indent=2))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a result as columns of text.

    On a terminal the columns fit its width, and rich draws them where it is installed. Anywhere
    else each row is one line, however long, and the same on every machine.
    """
    cells = [list(heads), *([printable(cell) for cell in row] for row in rows)]
    if not sys.stdout.isatty():
        _print_lines(cells, None)
    elif not _print_with_rich(cells):
        _print_lines(cells, shutil.get_terminal_size().columns)


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Print a result as terms and what they are, one below another; fitted to a terminal."""
    said = [(f"{term}{_GAP}", printable(value)) for term, value in pairs]
    indent = max((len(term) for term, _ in said), default=0)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for term, value in said:
        _print_item(term.ljust(indent), value, width)


def _print_item(term: str, text: str, width: int | None) -> None:
    """Print a text behind a term, its further lines below its first; or below the term."""
    if width is None:
        print(f"{term}{text}".rstrip())
        return
    indent = " " * len(term)
    if width - len(indent) < _LEAST_ROOM:
        print(term.rstrip())
        term = indent = _GAP
    lines = textwrap.wrap(text, max(1, width - len(indent)), break_on_hyphens=False) or [""]
    for number, line in enumerate(lines):
        print(f"{indent if number else term}{line}".rstrip())


def _print_lines(cells: Sequence[Sequence[str]], width: int | None) -> None:
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    indent = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1)
    if width is not None and width - indent < min(_LEAST_ROOM, widths[-1]):
        # Too narrow for columns: one block for each row.
        for row in cells[1:]:
            for head, cell in zip(cells[0], row, strict=True):
                _print_item(f"{head}: ", cell, width)
            print()
        return
    for row in cells:
        padded = [cell.ljust(size) for cell, size in zip(row[:-1], widths, strict=False)]
        _print_item("".join(f"{cell}{_GAP}" for cell in padded), row[-1], width)


def _print_with_rich(cells: Sequence[Sequence[str]]) -> bool:
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in cells[0]:
        table.add_column(head, overflow="fold")
    for row in cells[1:]:
        table.add_row(*map(Text, row))  # as text: what is in brackets is no markup
    Console(highlight=False).print(table)
    return True


def counted(
    items: Iterator[T],
    what: str,
    *,
    quiet: bool,
    total: int | None = None,
    size: Callable[[T], int] = lambda _: 1,
) -> Iterator[T]:
    """Give the items on, and say on a terminal's standard error how far they are and how fast.

    Args:
        items: The items.
        what: What they are, in the plural.
        quiet: Whether to say nothing.
        total: How many there will be, if that is known.
        size: For how many an item counts.
    """
    if quiet or not sys.stderr.isatty():
        yield from items
        return
    began = time.monotonic()
    told, number, next_look = 0.0, 0, _TELL_EVERY
    try:
        for item in items:
            number += size(item)
            if number >= next_look and (now := time.monotonic()) - told > _TELL_SECONDS:
                told, next_look = now, number + _TELL_EVERY
                text = _progress(number, total, what, now - began)
                print(f"\r\x1b[K{text} ", end="", file=sys.stderr, flush=True)
            yield item
    finally:
        if told:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _progress(number: int, total: int | None, what: str, seconds: float) -> str:
    """Say how far something is: `1,000 of 4,000 records, 500/s, 6 s left`."""
    rate = number / max(seconds, 1e-9)  # a clock may not have moved yet
    of = f" of {total:,}" if total else ""
    text = f"{number:,}{of} {what}, {rate:,.0f}/s"
    if total and total > number:
        text += f", {(total - number) / rate:,.0f} s left"
    return text


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
    elif name == "page_omitted":
        text = f"{event['database']} is exported without its page: {event['reason']}"
    else:
        fields = (f"{key}={value}" for key, value in event.items() if key != "event")
        text = f"{name}: {' '.join(fields)}"
    return printable(f"warning: {text}")


def at_least_one(text: str) -> int:
    """Read how many of something an argument wants.

    Args:
        text: The argument.

    Raises:
        argparse.ArgumentTypeError: It is no number, or less than one.
    """
    with suppress(ValueError):
        if (number := int(text)) > 0:
            return number
    raise argparse.ArgumentTypeError(f"a number of at least 1 is wanted, not {text!r}")
