"""The plan for one database: which declared tables need a projection, and what each is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from types import MappingProxyType

from sqlalchemy.engine.interfaces import Dialect

from landscape_compat.errors import AttachError
from landscape_compat.projection import mariadb
from landscape_compat.projection.joins import join_for
from landscape_compat.projection.prelude import (
    ProjectedColumn,
    Projection,
)
from landscape_compat.projection.render import quote_name, render_rule, shown_as
from landscape_compat.projection.rules import Rule, RuleKind, RuleSet
from landscape_compat.projection.tokens import DUCKDB, MARIADB, POSTGRESQL, SQLITE, Syntax
from landscape_compat.schema.drift import TableDrift, compare_tables
from landscape_compat.schema.shape import (
    ColumnShape,
    SchemaShape,
    TableShape,
    fold_letters,
    fold_name,
)
from landscape_compat.schema.types import is_mariadb

__all__ = ["Plan", "make_plan"]

_SYNTAXES = {
    "duckdb": DUCKDB,
    "mariadb": MARIADB,
    "mysql": MARIADB,
    "postgresql": POSTGRESQL,
    "sqlite": SQLITE,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a reader's statements are answered from what one database stores.

    Args:
        stored: What the database stores.
        declared: What the reader declares.
        drifts: How each declared table differs, in the order of declaration.
        projections: Folded name to projection, for the tables that need one.
        schema: The schema that unqualified names are found in, as `main`.
        syntax: The dialect's lexical rules.
        elsewhere: Schema to the plan for the tables declared in it, where it is another one.
    """

    stored: SchemaShape
    declared: SchemaShape
    drifts: tuple[TableDrift, ...]
    projections: Mapping[str, Projection]
    schema: str
    syntax: Syntax
    elsewhere: Mapping[str, Plan] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_fresh(self) -> bool:
        """Tell whether none of the declared tables is stored, as in a new database."""
        return all(drift.missing_table for drift in self.drifts) and all(
            plan.is_fresh for plan in self.elsewhere.values()
        )

    @property
    def is_degraded(self) -> bool:
        """Tell whether a declared read would trip over what is stored.

        A database that stores none of the declared tables is fresh, not degraded.
        """
        if any(plan.is_degraded for plan in self.elsewhere.values()):
            return True
        if all(drift.missing_table for drift in self.drifts):
            return False
        return bool(self.projections) or any(drift.is_degraded for drift in self.drifts)

    def knows(self, table: str) -> bool:
        """Tell whether a table is stored or declared."""
        return self.stored.table(table) is not None or self.declared.table(table) is not None

    def drift(self, table: str) -> TableDrift:
        """Find a declared table's drift.

        Raises:
            KeyError: The table is not declared.
        """
        for drift in self.drifts:
            if fold_name(drift.table) == fold_name(table):
                return drift
        raise KeyError(table)

    def all_projections(self) -> Iterator[Projection]:
        """Give every projection, also those of other schemas."""
        yield from self.projections.values()
        for plan in self.elsewhere.values():
            yield from plan.projections.values()

    def projection(self, label: str) -> Projection:
        """Find a projection by its label.

        Raises:
            KeyError: There is none.
        """
        return {found.label: found for found in self.all_projections()}[label]


def make_plan(
    stored: SchemaShape, declared: SchemaShape, rules: RuleSet, dialect: Dialect, schema: str
) -> Plan:
    """Plan how each declared table is read.

    Args:
        stored: What the database stores.
        declared: What the reader declares.
        rules: Where values that are not stored come from.
        dialect: The dialect to write for.
        schema: The schema that the stored tables are in.

    Raises:
        AttachError: The dialect's statements cannot be scanned.
        RuleError: Two rules fire for one column.
    """
    syntax = _SYNTAXES.get(dialect.name)
    if syntax is None:
        raise AttachError(
            f"Statements of the dialect {dialect.name!r} cannot be scanned here.",
            remedy=f"Use one of: {', '.join(sorted(_SYNTAXES))}.",
        )
    if dialect.paramstyle in ("format", "pyformat"):
        syntax = syntax._replace(doubles_percent=True)
    planner = _Planner(stored, declared, rules, dialect, schema)
    drifts, projections = [], {}
    for table in declared:
        drift = compare_tables(stored.table(table.name), table, dialect.name)
        drifts.append(drift)
        projection = planner.projection(table, {column.name for column in drift.missing_columns})
        if projection is not None:
            projections[syntax.fold(table.name, quoted=True)] = projection
    if is_mariadb(dialect.name):
        _refuse_alike(stored, declared, projections)
    elsewhere = {
        name: make_plan(
            stored.elsewhere.get(name, SchemaShape.of(exact=stored.exact)),
            tables,
            rules,
            dialect,
            name,
        )
        for name, tables in declared.elsewhere.items()
    }
    return Plan(
        stored,
        declared,
        tuple(drifts),
        MappingProxyType(projections),
        schema,
        syntax,
        MappingProxyType(elsewhere),
    )


def _refuse_alike(
    stored: SchemaShape, declared: SchemaShape, projections: Mapping[str, Projection]
) -> None:
    """Refuse to hide a table by a name that is another table's but for the case of letters.

    MariaDB compares the names of common table expressions without regard to case, whatever it does
    for tables.
    """
    for projection in projections.values():
        for table in (*stored, *declared):
            fold = str if stored.exact else fold_name
            is_one = fold(projection.name) == fold(table.name)
            if not is_one and fold_letters(projection.name) == fold_letters(table.name):
                raise AttachError(
                    f"The tables {projection.name!r} and {table.name!r} differ by the case of "
                    "letters only, and one of them lacks what is declared: a statement that names "
                    "one of them would be given the other's rows.",
                    remedy="Declare the table as it is stored, or read a copy without the other.",
                )


class _Planner:
    def __init__(
        self,
        stored: SchemaShape,
        declared: SchemaShape,
        rules: RuleSet,
        dialect: Dialect,
        schema: str,
    ) -> None:
        self.stored = stored
        self.declared = declared
        self.rules = rules
        self.dialect = dialect
        self.schema = schema
        self.spelling = {fold_name(name): shape.name for name, shape in stored.tables.items()}
        self.names = {*stored.tables, *declared.tables}
        self.homes = {shape.name: shape.schema for shape in stored if shape.schema}

    def projection(self, declared: TableShape, missing: Collection[str]) -> Projection | None:
        """Project one declared table; None where it is stored as declared."""
        stored = self.stored.table(declared.name)
        found = []
        for column in declared.columns:
            rule = self.rules.rule_for(declared.name, column.name, self.stored, self.declared)
            if rule is not None or column.name in missing:
                found.append((column, rule))
        if not found:
            return None
        alias = self._alias([rule for _, rule in found])
        columns = tuple(self._column(declared, stored, *pair, alias) for pair in found)
        # A schema of its own is a plan of its own; tables are then told apart by it.
        label = f"{self.schema}.{declared.name}" if self.declared.schema else declared.name
        if stored is None:
            return Projection(
                declared.name, "", None, columns, self.dialect, schema=self.schema, label=label
            )
        home = stored.schema or self.schema
        schema = (
            quote_name(self.dialect, home)
            if is_mariadb(self.dialect.name)
            else self.dialect.identifier_preparer.quote_schema(home)
        )
        source = f"{schema}.{quote_name(self.dialect, stored.name)}"
        columns = _refuse_without_key(columns, declared)
        return Projection(declared.name, source, stored, columns, self.dialect, alias, home, label)

    def _column(
        self,
        table: TableShape,
        stored: TableShape | None,
        column: ColumnShape,
        rule: Rule | None,
        alias: str,
    ) -> ProjectedColumn:
        write = partial(
            render_rule,
            rule,
            column,
            self.dialect,
            alias=alias,
            schema=self.schema,
            spelling=self.spelling,
            homes=self.homes,
            stored=stored,
            everything=self.stored,
        )
        refusal, is_made, is_loose = None, False, False
        if is_mariadb(self.dialect.name):
            shown, order = shown_as(column, rule, stored, self.stored)
            refusal = _spelled_otherwise(column, stored) or mariadb.refusal_of(
                rule, shown, self.stored, self.dialect, order
            )
            is_made = not mariadb.is_stored(rule)
            is_loose = is_made and stored is not None and not stored.never_null
            if stored is None:
                return ProjectedColumn(column, partial(mariadb.type_of, column, order))
        essential = stored is not None and self.rules.is_essential(table.name, column.name)
        if essential and (rule is None or rule.kind is RuleKind.ABSENT):
            refusal = (
                "The column is not stored and cannot be derived from what is. Readers filter "
                "on it, so reading NULL would lose records without a word."
            )
        kind = rule.kind if rule else RuleKind.ABSENT
        join = None
        if rule is not None and stored is not None and kind is RuleKind.DERIVED:
            join = partial(
                join_for,
                rule,
                column,
                self.stored,
                self.dialect,
                alias=alias,
                prefix=f"{alias}_{table.column_names.index(column.name) + 1}",
                schema=self.schema,
                quote=partial(quote_name, self.dialect),
            )
        replaces = bool(rule and rule.replaces)
        return ProjectedColumn(
            column, write, kind, rule, replaces, refusal, join, is_made, is_loose
        )

    def _alias(self, rules: list[Rule | None]) -> str:
        aliases = (rule.aliases for rule in rules if rule is not None)
        taken = self.names.union(*aliases)
        return next(name for name in _alias_names() if name not in taken)


def _alias_names() -> Iterator[str]:
    yield "t"
    yield from (f"t{number}" for number in count(1))


def _spelled_otherwise(declared: ColumnShape, stored: TableShape | None) -> str | None:
    """Tell why a column cannot be shown beside one whose name MariaDB takes for its own."""
    if stored is None or stored.column(declared.name) is not None:
        return None
    for column in stored.columns:
        if fold_letters(column.name) == fold_letters(declared.name):
            return (
                f"The column is stored as {column.name!r}, which differs by the case of letters "
                "only: MariaDB would be shown one name twice. Declare it as it is stored."
            )
    return None


def _refuse_without_key(
    columns: tuple[ProjectedColumn, ...], declared: TableShape
) -> tuple[ProjectedColumn, ...]:
    """Refuse a table none of whose primary key is stored: an ORM drops such rows silently."""
    keys = {column.name for column in declared.columns if column.primary_key}
    absent = {c.column.name for c in columns if c.kind is RuleKind.ABSENT}
    if not keys or not keys <= absent:
        return columns
    reason = (
        "None of the declared primary key is stored, and rows without a key are dropped "
        "silently by readers that map rows to objects."
    )
    return tuple(
        replace(c, refusal=c.refusal or reason, join=None) if c.column.name in keys else c
        for c in columns
    )
