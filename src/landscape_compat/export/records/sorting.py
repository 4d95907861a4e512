"""The order of rows as Python compares them, where SQLite compares texts as Python does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

__all__ = ["Sorting"]


class Sorting:
    """An order of rows that SQLite would sort in the same way.

    Args:
        terms: What is compared, the first first: the position in a row, and whether NULL comes
            last there instead of first.
    """

    def __init__(self, terms: Sequence[tuple[int, bool]]) -> None:
        self._terms = terms
        self._plain: Callable[[Any], Any] = itemgetter(*(at for at, _ in terms))

    def sort(self, rows: list[Any]) -> None:
        """Sort rows.

        Args:
            rows: The rows, sorted in place.
        """
        try:
            rows.sort(key=self._plain)
        except TypeError:
            rows.sort(key=self._ranked)

    def is_kept(self, rows: Sequence[Any]) -> bool:
        """Tell whether rows are in this order.

        Args:
            rows: The rows.
        """
        try:
            return _is_sorted(map(self._plain, rows))
        except TypeError:
            return _is_sorted(map(self._ranked, rows))

    def _ranked(self, row: Any) -> Any:
        """Give a key that compares as SQLite does: NULL, then numbers, texts, and bytes."""
        return [_ranked(row[at], is_last) for at, is_last in self._terms]


def _is_sorted(keys: Iterable[Any]) -> bool:
    listed = list(keys)
    return listed == sorted(listed)


def _ranked(value: Any, is_last: bool) -> tuple[int, Any]:
    if value is None:
        return (4 if is_last else 0), 0
    if isinstance(value, str):
        return 2, value
    return (3, value) if isinstance(value, bytes) else (1, value)
