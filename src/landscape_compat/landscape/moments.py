"""Moments of databases that keep a time zone and of those that keep none, made comparable."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

__all__ = ["in_utc"]

_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


def in_utc(moment: datetime) -> datetime:
    """Give a moment in UTC, which is what one without a zone is taken for.

    Args:
        moment: The moment.
    """
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        # By less than a day it is before what can be told, or after.
        return _FIRST if moment.year == 1 else _LAST
