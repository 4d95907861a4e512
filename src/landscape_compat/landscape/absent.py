"""What a record holds for a column that the database lacks, and the types of what may be absent."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Final, NoReturn, TypeAlias

__all__ = ["ABSENT", "Absent", "Flag", "Number", "Real", "Text", "Time"]


class Absent(Enum):
    """The type of `ABSENT`; an enum of one member, so that `is ABSENT` narrows a type."""

    ABSENT = "ABSENT"

    def __repr__(self) -> str:
        return "ABSENT"

    def __str__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> NoReturn:
        # `if state.error_json:` would say "no error" where nobody wrote down whether there was.
        raise TypeError("An absent value is neither true nor false: compare it with `is ABSENT`.")


ABSENT: Final = Absent.ABSENT
"""Not NULL: the database holds no such column, or no such table."""

Text: TypeAlias = str | Absent | None
Number: TypeAlias = int | Absent | None
Real: TypeAlias = float | Absent | None
Flag: TypeAlias = bool | Absent | None
Time: TypeAlias = datetime | Absent | None
