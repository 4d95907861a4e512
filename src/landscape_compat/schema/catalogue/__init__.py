"""Reading a database's catalogue: one module a dialect, found by the dialect's name."""

from __future__ import annotations

from landscape_compat.errors import AttachError
from landscape_compat.schema.catalogue import sqlite
from landscape_compat.schema.catalogue.base import Catalogue

__all__ = ["Catalogue", "catalogue_for"]

_CATALOGUES = {"sqlite": sqlite.CATALOGUE}


def catalogue_for(dialect: str) -> Catalogue:
    """Find the catalogue reader of a dialect.

    Args:
        dialect: SQLAlchemy's name of the dialect.

    Raises:
        AttachError: There is none: what it stores would have to be guessed.
    """
    try:
        return _CATALOGUES[dialect]
    except KeyError:
        raise AttachError(
            f"The catalogue of the dialect {dialect!r} is not known here, and what a database "
            "stores is never guessed.",
            remedy=f"Use one of: {', '.join(sorted(_CATALOGUES))}.",
        ) from None
