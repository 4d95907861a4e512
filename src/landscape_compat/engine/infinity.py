"""Refusing moments that Python has no form for, and that one driver turns into others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from sqlalchemy import Engine, event

__all__ = ["refuse_infinity"]

# Source: PostgreSQL's pg_type.dat: date, time, timestamp, timestamptz, timetz.
_TYPES: Final = {
    1082: "PYDATE",
    1083: "PYTIME",
    1114: "PYDATETIME",
    1184: "PYDATETIMETZ",
    1266: "PYTIME",
}
_BEYOND: Final = ("infinity", "-infinity", "24:00:00")


def refuse_infinity(engine: Engine) -> None:
    """Have psycopg2 raise where `infinity` is stored, or the time 24:00, as the other drivers do.

    It gives 9999-12-31 and 00:00 for them, which nobody stored.

    Args:
        engine: An engine of our own; another driver's is left as it is.
    """
    if engine.dialect.driver == "psycopg2":
        event.listen(engine, "connect", _watch)


def _watch(connection: Any, record: Any) -> None:
    from psycopg2 import extensions

    for type_ in _types(extensions):
        extensions.register_type(type_, connection)


def _types(extensions: Any) -> Iterator[Any]:
    for number, name in _TYPES.items():
        yield extensions.new_type((number,), name, _refusing(getattr(extensions, name)))


def _refusing(usual: Callable[[str | None, Any], Any]) -> Callable[[str | None, Any], Any]:
    def cast(text: str | None, cursor: Any) -> Any:
        if text is not None and text.startswith(_BEYOND):
            raise ValueError(f"{text} is no moment that Python has a form for")
        return usual(text, cursor)

    return cast
