"""Looking on while records are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

__all__ = ["Watch"]

# Given what is written for records, a list at a time, and how many records there will be, if
# that is known; gives the lists on.
Watch: TypeAlias = Callable[[Iterator[list[Any]], int | None], Iterator[list[Any]]]
