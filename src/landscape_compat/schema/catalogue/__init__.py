"""Reading a database's catalogue: one module a dialect, found by the dialect's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from landscape_compat.errors import AttachError
from landscape_compat.schema.catalogue import duckdb, mariadb, postgresql, sqlite
from landscape_compat.schema.catalogue.base import Catalogue, Moment, Wanted, ask

__all__ = ["Catalogue", "Moment", "Wanted", "ask", "catalogue_for"]

_CATALOGUES: Mapping[str, Callable[[Wanted], Catalogue]] = {
    "duckdb": duckdb.catalogue,
    "mariadb": mariadb.catalogue,
    "mysql": mariadb.catalogue,
    "postgresql": postgresql.catalogue,
    "sqlite": lambda _: sqlite.CATALOGUE,
}


def catalogue_for(dialect: str, wanted: Wanted | None = None) -> Catalogue:
    """Find the catalogue reader of a dialect.

    Args:
        dialect: SQLAlchemy's name of the dialect.
        wanted: What the reader means of all that is stored.

    Raises:
        AttachError: There is none: what it stores would have to be guessed.
    """
    try:
        return _CATALOGUES[dialect](wanted or Wanted())
    except KeyError:
        raise AttachError(
            f"The catalogue of the dialect {dialect!r} is not known here, and what a database "
            "stores is never guessed.",
            remedy=f"Use one of: {', '.join(sorted(_CATALOGUES))}.",
        ) from None
