"""The errors and warnings of the library: one family, each with what is wrong and what to do."""

from __future__ import annotations

from enum import IntEnum
from functools import partial
from typing import ClassVar

__all__ = [
    "AttachError",
    "DegradedDatabaseError",
    "DegradedReadWarning",
    "ExitCode",
    "LandscapeCompatError",
    "NotALandscapeError",
    "OpeningRefusedError",
    "OutputError",
    "ProofFailedError",
    "RowsRefusedError",
    "RuleError",
    "RunNotFoundError",
    "SourceChangedError",
    "UnreadableError",
    "WriteRefusedError",
    "count_of",
    "printable",
]


_MOST_ROWS = 20


def printable(text: object) -> str:
    """Escape what a terminal or a log would act on instead of showing it.

    Args:
        text: A name or value from a database or a path, which may be anybody's.
    """
    said = str(text)
    if said.isprintable():
        return said
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii")
        for c in said
    )


def count_of(number: int, what: str) -> str:
    """Say how many there are of something.

    Args:
        number: How many.
        what: What one of them is called.
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


class ExitCode(IntEnum):
    """What a command's exit status says."""

    DONE = 0
    OPERATIONAL = 1
    USAGE = 2
    INTERRUPTED = 3
    INTEGRITY = 4
    DEGRADED = 5
    UNREADABLE = 6


class LandscapeCompatError(Exception):
    """Say what is wrong, where, and what to do next.

    Args:
        reason: What is wrong and what it means for the data, as one sentence.
        table: The table concerned, if one is.
        column: The column concerned, if one is.
        remedy: What to do next, as one sentence.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.OPERATIONAL

    def __init__(
        self,
        reason: str,
        *,
        table: str | None = None,
        column: str | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.table = table
        self.column = column
        self.remedy = remedy

    def __str__(self) -> str:
        where = ".".join(part for part in (self.table, self.column) if part)
        text = f"{where}: {self.reason}" if where else self.reason
        return f"{text} Remedy: {self.remedy}" if self.remedy else text

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments are not in `args`, so the default pickling would lose them.
        fields = {"table": self.table, "column": self.column, "remedy": self.remedy}
        # A class made for the occasion cannot be found again by its name; its parent can.
        kind = next(kind for kind in type(self).__mro__ if kind.__module__ == __name__)
        return (_rebuild, (kind, self.reason, fields))


def _rebuild(
    kind: type[LandscapeCompatError], reason: str, fields: dict[str, str | None]
) -> LandscapeCompatError:
    return kind(reason, **fields)


class OpeningRefusedError(LandscapeCompatError):
    """A source cannot be opened without leaving a trace or risking torn or stale data.

    Attributes:
        refusal: The name of the refusal, which stays where its words may change; "" for one
            without a name.
    """

    refusal = ""


class NotALandscapeError(LandscapeCompatError):
    """A readable database holds none of the tables of a Landscape."""


class RunNotFoundError(LandscapeCompatError):
    """A run that was asked for is not in the database."""


class OutputError(LandscapeCompatError):
    """An output exists already or cannot be written."""


class RuleError(LandscapeCompatError):
    """A rule, or a set of rules, contradicts itself or names what does not exist."""


class AttachError(LandscapeCompatError):
    """An engine cannot be attached to, or is attached to already in another way."""


class SourceChangedError(LandscapeCompatError):
    """The source changed while it was read."""

    exit_code = ExitCode.INTEGRITY


class RowsRefusedError(LandscapeCompatError):
    """Rows of an old database violate the constraints of the new one.

    Args:
        reason: What is wrong.
        table: The table concerned, if one is.
        column: The column concerned, if one is.
        remedy: What to do next.
        rows: Each row and the constraint that it violates, as a phrase.
    """

    exit_code = ExitCode.INTEGRITY

    def __init__(
        self,
        reason: str,
        *,
        table: str | None = None,
        column: str | None = None,
        remedy: str | None = None,
        rows: tuple[str, ...] = (),
    ) -> None:
        super().__init__(reason, table=table, column=column, remedy=remedy)
        self.rows = rows

    def __str__(self) -> str:
        rest = len(self.rows) - _MOST_ROWS
        more = f"; and {rest} more" if rest > 0 else ""
        named = f" Refused: {'; '.join(self.rows[:_MOST_ROWS])}{more}." if self.rows else ""
        return super().__str__() + named

    def __reduce__(self) -> tuple[object, ...]:
        return (partial(RowsRefusedError, rows=self.rows, remedy=self.remedy), (self.reason,))


class ProofFailedError(LandscapeCompatError):
    """A migrated database does not hold what the old one does."""

    exit_code = ExitCode.INTEGRITY


class DegradedDatabaseError(LandscapeCompatError):
    """A degraded database was opened under the posture `refuse`."""

    exit_code = ExitCode.DEGRADED


class WriteRefusedError(LandscapeCompatError):
    """A statement that writes was refused, because the database is open read-only."""


class UnreadableError(LandscapeCompatError):
    """A read cannot be projected faithfully onto what is stored."""

    exit_code = ExitCode.UNREADABLE


class DegradedReadWarning(UserWarning):
    """A read from a table that lacks something the reader declares.

    Args:
        table: The table.
        missing: The declared columns that are not stored; empty for a missing table.
        message: The sentence shown.
    """

    def __init__(self, message: str, *, table: str = "", missing: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.table = table
        self.missing = missing
