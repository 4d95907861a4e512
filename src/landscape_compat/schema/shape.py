"""The shape of a table and of a schema, whether stored, declared or known from history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, NamedTuple

__all__ = [
    "ColumnShape",
    "Hindrance",
    "SchemaShape",
    "TableKind",
    "TableShape",
    "fold_letters",
    "fold_name",
    "quote_name",
]

TableKind = Literal["table", "view", "virtual", "partition"]

_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


# Every name is compared with many others.
@lru_cache(maxsize=8192)
def fold_name(name: str) -> str:
    """Fold a name as SQLite compares names: ASCII letters only.

    `str.lower` would make one name of two tables that SQLite keeps apart (KELVIN SIGN and `k`).
    """
    return name.translate(_ASCII_LOWER)


def quote_name(name: str) -> str:
    """Quote a name as SQL has it, and every database but MariaDB's."""
    return '"' + name.replace('"', '""') + '"'


@lru_cache(maxsize=8192)
def fold_letters(name: str) -> str:
    """Fold a name as MariaDB compares names: each letter on its own, of whatever alphabet.

    `str.lower` looks at the letters around a sigma, and makes two characters of a dotted I.
    """
    return "".join(map(str.lower, name.replace("İ", "i")))


# There are hundreds in a schema, and a tuple is made three times as fast as a frozen dataclass.
class ColumnShape(NamedTuple):
    """One column as its table declares it.

    Args:
        name: The column's name as written.
        type: The type as written in DDL, upper case, single spaces; may be empty on SQLite.
        nullable: Whether NULL is allowed; never true for a primary key column.
        primary_key: Whether the column is part of the primary key.
        generated: Whether the database computes its values.
        base: The type beneath it: a domain's, or what holds the values of a declared type where
            the database has no such type; "" where it is the type itself.
        collation: The order of text that it is declared with; "" where none is, or none is told.
        computed: Whether it does so at each reading, so that none of them is stored.
        hidden: Whether `*` leaves it out.
    """

    name: str
    type: str
    nullable: bool = True
    primary_key: bool = False
    generated: bool = False
    base: str = ""
    collation: str = ""
    computed: bool = False
    hidden: bool = False


class Hindrance(NamedTuple):
    """Why a database could not be read faithfully if it were degraded.

    Args:
        reason: What is so.
        remedy: What to do.
    """

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class TableShape:
    """One table, view or virtual table: its name, columns in order, and what kind it is.

    Args:
        name: Its name as written.
        columns: Its columns, in order.
        kind: What it is. A partition holds rows that are rows of another table, too.
        has_rowid: Whether the database gives its rows a hidden number, or what it has instead.
        schema: The schema that it is in; "" for the database's only or default one.
        exact: Whether names compare as they are written, as on PostgreSQL.
        readable: Whether whoever looks at it may read all of it.
        collation: The order of text that a column added to it gets; "" where none is told.
    """

    name: str
    columns: tuple[ColumnShape, ...]
    kind: TableKind = "table"
    has_rowid: bool = True
    schema: str = ""
    exact: bool = False
    readable: bool = True
    collation: str = ""
    _found: Mapping[str, ColumnShape] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        columns = reversed(self.columns)  # the first of a name is found
        found = {
            column.name if self.exact else fold_name(column.name): column for column in columns
        }
        object.__setattr__(self, "_found", found)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Name the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def never_null(self) -> str:
        """Name a column that is never NULL in a row, of the primary key if it has one; else ""."""
        found = [c for c in self.columns if not c.nullable and not c.computed]
        return next((c.name for c in sorted(found, key=lambda c: not c.primary_key)), "")

    def column(self, name: str) -> ColumnShape | None:
        """Find a column by its name, as the database compares names."""
        return self._found.get(name if self.exact else fold_name(name))


@dataclass(frozen=True, slots=True)
class SchemaShape:
    """A set of tables, found by name.

    Args:
        tables: Folded name to table. Use `of` to make one from tables.
        schema: The schema that unqualified names are looked for in first; "" where there is
            but one.
        types: The names of types that are none of the dialect's own.
        elsewhere: Other schemas, by name, as far as a reader means them.
        exact: Whether names compare as they are written, as on PostgreSQL.
        catalog: The database's name, where that may stand before a table's; "" where not.
        routines: The names of what a statement may call that reads tables itself, folded, and how.
        collation: The order of text that a table added to it gets; "" where none is told.
        hindrance: Why it could not be read if it were degraded; None if it could.
    """

    tables: Mapping[str, TableShape] = field(default_factory=lambda: MappingProxyType({}))
    schema: str = ""
    types: frozenset[str] = frozenset()
    elsewhere: Mapping[str, SchemaShape] = field(default_factory=lambda: MappingProxyType({}))
    exact: bool = False
    catalog: str = ""
    routines: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    collation: str = ""
    hindrance: Hindrance | None = None

    @classmethod
    def of(
        cls,
        *tables: TableShape,
        schema: str = "",
        types: frozenset[str] = frozenset(),
        elsewhere: Mapping[str, SchemaShape] | None = None,
        exact: bool = False,
        catalog: str = "",
        routines: Mapping[str, str] | None = None,
        collation: str = "",
        hindrance: Hindrance | None = None,
    ) -> SchemaShape:
        """Make a schema of tables."""
        found = {table.name if exact else fold_name(table.name): table for table in tables}
        return cls(
            MappingProxyType(found),
            schema,
            types,
            MappingProxyType(elsewhere or {}),
            exact,
            catalog,
            MappingProxyType(routines or {}),
            collation,
            hindrance,
        )

    def table(self, name: str) -> TableShape | None:
        """Find a table by its name, as the database compares names."""
        return self.tables.get(name if self.exact else fold_name(name))

    def has(self, path: str) -> bool:
        """Tell whether `table` or `table.column` exists here."""
        name, _, column = path.partition(".")
        table = self.table(name)
        return table is not None and (not column or table.column(column) is not None)

    def __iter__(self) -> Iterator[TableShape]:
        return iter(self.tables.values())

    def __len__(self) -> int:
        return len(self.tables)
