"""Strategies for older databases on PostgreSQL, DuckDB or MariaDB, and statements over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects import postgresql as pg

from landscape_compat.projection import rules
from support.drifts import Draw

__all__ = ["DUCKDB", "MARIADB", "PATH", "POSTGRESQL", "PgCase", "draw_pg_case", "draw_pg_query"]

PATH = ("app", "public")
TABLE_NAMES = (
    "tokens", "rows", "order", "Runs", "t", "t1", "odd name", 'a"b', "select", "na\u00efve", "50%",
    "a:b", "values", "\U0001f642", "it's",
)  # fmt: skip
COLUMN_NAMES = (
    "id", "run_id", "row", "n", "value", "group", "Order", "t", "tokens", "odd col", 'c"q',
    "select", "\u00e9t\u00e9", "50%", "a:b", "k", "x'y", "desc", "left", "1st", "b;--", "rows",
)  # fmt: skip
How: TypeAlias = Literal["kept", "missing", "renamed", "given", "replaced"]


@dataclass(frozen=True, slots=True)
class PgKind:
    """A type, and values of it as they are written in SQL.

    Args:
        name: Its name here.
        ddl: The type as it is stored.
        make: The type as it is declared.
        values: Values, as literals.
        group: What its values may be compared with.
        mapped: Two values of Python's, for a mapping; none where there is no such rule.
    """

    name: str
    ddl: str
    make: Callable[[], sa.types.TypeEngine[Any]]
    values: tuple[str, ...]
    group: str
    mapped: tuple[Any, Any] | None = None


KINDS = {
    kind.name: kind
    for kind in (
        PgKind("int", "integer", sa.Integer, ("0", "1", "5", "-1", "42"), "number", (1, 42)),
        PgKind(
            "str",
            "varchar(20)",
            lambda: sa.String(20),
            ("''", "'a'", "'5'", "'it''s'"),
            "text",
            ("a", "\U0001f642 100%"),
        ),
        PgKind(
            "text", "text", sa.Text, ("''", "'a'", "'x%'", "E'\\n'", "$$5$$"), "text", ("a", "b")
        ),
        PgKind("num", "numeric(10, 2)", lambda: sa.Numeric(10, 2), ("0.5", "7", "-2.25"), "number"),
        PgKind(
            "float", "double precision", sa.Float, ("0.5", "3.75", "1e3"), "number", (0.5, 3.75)
        ),
        PgKind("bool", "boolean", sa.Boolean, ("true", "false"), "bool"),
        PgKind(
            "time",
            "timestamp",
            sa.DateTime,
            ("'2020-01-01 00:00:00'", "'1999-12-31 12:00:00'"),
            "time",
        ),
        PgKind("json", "jsonb", pg.JSONB, ("'{\"a\": 1}'", "'[]'", "'null'"), "json"),
        PgKind("list", "integer[]", lambda: pg.ARRAY(sa.Integer), ("'{1,2}'", "'{}'"), "list"),
        PgKind(
            "mood",
            "mood",
            lambda: sa.Enum("glad", "sad", name="mood"),
            ("'glad'", "'sad'"),
            "mood",
        ),
    )
}


# DuckDB has one type of JSON, which compares as text.
DUCK_KINDS = {
    **KINDS,
    "json": PgKind("json", "json", sa.JSON, ("'{\"a\": 1}'", "'[]'", "'null'"), "json"),
    "list": PgKind("list", "integer[]", lambda: pg.ARRAY(sa.Integer), ("[1, 2]", "[]"), "list"),
}


_TEXT = ("''", "'a'", "'5'", "'it\\'s'", "'q''q'", '"tokens"')
# Orders of text each have a group of their own: two of them do not compare.
MARIA_KINDS = {
    kind.name: kind
    for kind in (
        PgKind("int", "int", sa.Integer, ("0", "1", "5", "-1", "42"), "number", (1, 42)),
        PgKind("big", "bigint", sa.BigInteger, ("0", "7", "1099511627776"), "number", (7, 0)),
        PgKind(
            "str", "varchar(20)", lambda: sa.String(20), _TEXT, "text", ("a", "\U0001f642 100%")
        ),
        PgKind("text", "text", sa.Text, (*_TEXT, "'x%'", "'\\n'"), "text", ("a", "b")),
        PgKind(
            "bytewise",
            "varchar(9) collate utf8mb4_bin",
            lambda: sa.String(9, collation="utf8mb4_bin"),
            ("'Z'", "'a'", "'\u00e9'"),
            "bytewise",
            ("Z", "\u00e9"),
        ),
        PgKind(
            "latin",
            "varchar(9) character set latin1 collate latin1_german1_ci",
            lambda: mysql.VARCHAR(9, charset="latin1", collation="latin1_german1_ci"),
            ("'c'", "'\u00e4'", "'x'"),
            "latin",
        ),
        PgKind("num", "numeric(10, 2)", lambda: sa.Numeric(10, 2), ("0.5", "7", "-2.25"), "number"),
        PgKind("float", "double", sa.Double, ("0.5", "3.75", "1e3"), "number", (0.5, 3.75)),
        PgKind("bool", "bool", sa.Boolean, ("true", "false"), "bool"),
        PgKind(
            "time",
            "datetime",
            sa.DateTime,
            ("'2020-01-01 00:00:00'", "'1999-12-31 12:00:00'"),
            "time",
        ),
        PgKind("day", "date", sa.Date, ("'2020-01-01'", "'1999-12-31'"), "day"),
        PgKind("json", "json", sa.JSON, ("'{\"a\": 1}'", "'[]'", "'null'"), "json"),
        PgKind("bytes", "blob", sa.LargeBinary, ("x'00ff'", "x'41'"), "bytes"),
        PgKind(
            "mood",
            "enum('sad', 'glad')",
            lambda: sa.Enum("sad", "glad", name="mood"),
            ("'glad'", "'sad'"),
            "mood",
        ),
    )
}


def _cast(value: str, kind: PgKind) -> str:
    return f"{value}::{kind.ddl}"


def _as_it_is(value: str, kind: PgKind) -> str:
    return value


@dataclass(frozen=True, slots=True)
class Form:
    """How one database wants its statements written.

    Args:
        path: The schemas that names are looked for in.
        kinds: Its types.
        mark: What stands around a quoted name.
        typed: Gives a literal its type.
        is_mariadb: Whether it is MariaDB, which differs in more than names and types.
    """

    path: tuple[str, ...]
    kinds: dict[str, PgKind]
    mark: str = '"'
    typed: Callable[[str, PgKind], str] = _cast
    is_mariadb: bool = False

    def quoted(self, name: str) -> str:
        """Write a name so that it is taken for nothing else."""
        return self.mark + name.replace(self.mark, self.mark * 2) + self.mark

    @property
    def names(self) -> tuple[str, ...]:
        """Give the names that tables may have."""
        # MariaDB has no letters in them that take four bytes.
        return tuple(n for n in TABLE_NAMES if not self.is_mariadb or max(n) < "\U00010000")


POSTGRESQL = Form(PATH, KINDS)
DUCKDB = Form(("main",), DUCK_KINDS)
MARIADB = Form(("app",), MARIA_KINDS, "`", _as_it_is, is_mariadb=True)


@dataclass(frozen=True, slots=True)
class PgColumn:
    """A declared column and what became of it.

    Args:
        sql: What its rule says, for the row `o` of the drifted tables in the schema `old`.
    """

    name: str
    kind: PgKind
    key: bool = False
    how: How = "kept"
    stored_as: str = ""
    rule: rules.Rule | None = None
    sql: str = "NULL"

    @property
    def is_stored(self) -> bool:
        """Tell whether a column of the older database holds it."""
        return self.how in ("kept", "renamed", "replaced")


@dataclass(frozen=True, slots=True)
class PgTable:
    """A declared table, and its rows in the order of what is stored of it.

    Args:
        extra: Names of what is stored besides, as texts.
        is_keyed: Whether MariaDB stores a column besides that is never NULL.
        indexes: The stored columns that MariaDB has an index of.
    """

    name: str
    schema: str
    columns: tuple[PgColumn, ...]
    is_stored: bool = True
    extra: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    is_keyed: bool = True
    indexes: tuple[str, ...] = ()

    def visible(self, form: Form) -> list[tuple[str, PgKind]]:
        """Name the columns that a reader sees of it on a migrated copy, in order."""
        if not self.is_stored:
            return [(c.name, c.kind) for c in self.columns]
        text = form.kinds["text"]
        return [
            *((c.stored_as or c.name, c.kind) for c in self.columns if c.is_stored),
            *((name, text) for name in self.extra),
            *((c.name, c.kind) for c in self.columns if c.how not in ("kept", "replaced")),
        ]


@dataclass(frozen=True, slots=True, repr=False)
class PgCase:
    """A declared schema, an older database, and the rules between them."""

    tables: tuple[PgTable, ...] = field(default=())
    form: Form = POSTGRESQL

    def metadata(self) -> sa.MetaData:
        """Declare the tables to SQLAlchemy."""
        metadata = sa.MetaData()
        for table in self.tables:
            columns = (sa.Column(c.name, c.kind.make(), primary_key=c.key) for c in table.columns)
            sa.Table(table.name, metadata, *columns)
        return metadata

    def rules(self) -> list[rules.Rule]:
        """Give the rules."""
        return [c.rule for t in self.tables for c in t.columns if c.rule is not None]

    def old(self) -> str:
        """Write the script that makes the older database."""
        schemas = [schema for schema in (*self.form.path, "old") if schema != "main"]
        cascade = "" if self.form.is_mariadb else " CASCADE"
        lines = [f"DROP SCHEMA IF EXISTS {schema}{cascade}" for schema in schemas]
        lines += [f"CREATE SCHEMA {schema}" for schema in schemas]
        if not self.form.is_mariadb:
            lines += [f"CREATE TYPE {self.form.path[-1]}.mood AS ENUM ('glad', 'sad')"]
        for table in self.tables:
            if table.is_stored:
                lines += self._create(table, table.schema)
        return ";\n".join(lines)

    def migrated(self) -> str:
        """Write the script that makes the copy into which the missing columns were migrated."""
        lines, quoted = [self.old()], self.form.quoted
        for table in self.tables:
            if table.is_stored:
                lines += self._create(table, "old")
        for table in self.tables:
            if not table.is_stored:
                columns = ", ".join(f"{quoted(c.name)} {c.kind.ddl}" for c in table.columns)
                lines.append(f"CREATE TABLE {self.form.path[0]}.{quoted(table.name)} ({columns})")
                continue
            source = f"{table.schema}.{quoted(table.name)}"
            lines += [
                f"ALTER TABLE {source} ADD COLUMN {quoted(c.name)} {c.kind.ddl}"
                for c in table.columns
                if c.how in ("missing", "renamed", "given")
            ]
            values = [
                f"{quoted(c.name)} = {c.sql}"
                for c in table.columns
                if c.how in ("renamed", "given", "replaced")
            ]
            if values:
                lines.append(f"UPDATE {source} AS o SET {', '.join(values)}")
        return ";\n".join([*lines, f"DROP SCHEMA old{'' if self.form.is_mariadb else ' CASCADE'}"])

    def _create(self, table: PgTable, schema: str) -> list[str]:
        quoted = self.form.quoted
        name = f"{schema}.{quoted(table.name)}"
        columns = [
            f"{quoted(c.stored_as or c.name)} {c.kind.ddl}" for c in table.columns if c.is_stored
        ]
        columns += [f"{quoted(extra)} text" for extra in table.extra]
        if self.form.is_mariadb and table.is_keyed:
            columns.insert(0, "`#` int NOT NULL AUTO_INCREMENT PRIMARY KEY INVISIBLE")
        columns += [f"KEY ({index})" for index in table.indexes]
        lines = [f"CREATE TABLE {name} ({', '.join(columns)})"]
        if table.rows:
            values = ", ".join(f"({', '.join(row)})" for row in table.rows)
            lines.append(f"INSERT INTO {name} VALUES {values}")
        return lines

    def __repr__(self) -> str:
        return self.migrated()


# --- drawing them -----------------------------------------------------------------------------


def draw_pg_case(draw: Draw, form: Form = POSTGRESQL) -> PgCase:
    """Draw a declared schema, an older database of it, and rules.

    Args:
        draw: Makes the choices.
        form: How the database wants them.
    """
    known = form.kinds
    tables = []
    for number, name in enumerate(draw.several(form.names, 2, 3)):
        kinds = ("int", "str", "text")
        columns = [
            PgColumn(column, known[draw.pick(kinds if at == 0 else tuple(known))], at == 0)
            for at, column in enumerate(draw.several(COLUMN_NAMES, 2, 5))
        ]
        table = PgTable(name, draw.pick(form.path), tuple(columns))
        tables.append(_drifted(draw, form, table, is_first=number == 0))
    return PgCase(tuple(_ruled(draw, form, table, tables) for table in tables), form)


def _drifted(draw: Draw, form: Form, table: PgTable, *, is_first: bool) -> PgTable:
    if not is_first and draw.chance(6):
        return replace(table, is_stored=False, columns=tuple(table.columns))
    taken = {column.name for column in table.columns}
    spare = [name for name in COLUMN_NAMES if name not in taken]
    columns = []
    for at, column in enumerate(table.columns):
        hows: tuple[How, ...] = ("kept", "missing", "renamed", "given", "replaced")
        how = "kept" if at == 0 else draw.pick(hows)
        if how == "replaced" and column.kind.mapped is None:
            how = "missing"
        stored_as = spare.pop(draw.below(len(spare))) if how == "renamed" else ""
        columns.append(replace(column, how=how, stored_as=stored_as))
    extra = tuple(spare.pop(draw.below(len(spare))) for _ in range(draw.below(2)))
    stored = [c.kind for c in columns if c.is_stored] + [form.kinds["text"]] * len(extra)
    rows = tuple(
        tuple("NULL" if draw.chance(3) else draw.pick(kind.values) for kind in stored)
        for _ in range(draw.below(draw.pick((6, 6, 6, 30)) if form.is_mariadb else 6))
    )
    is_keyed = not (form.is_mariadb and draw.chance(5))
    indexes = _indexes(draw, form, columns) if form.is_mariadb else ()
    return replace(
        table,
        columns=tuple(columns),
        extra=extra,
        rows=rows,
        is_keyed=is_keyed,
        indexes=indexes,
    )


def _indexes(draw: Draw, form: Form, columns: list[PgColumn]) -> tuple[str, ...]:
    """Draw what MariaDB has indexes of; of a long text, only what it begins with."""
    parts = [
        form.quoted(c.stored_as or c.name) + "(9)" * (c.kind.name in ("text", "json", "bytes"))
        for c in columns
        if c.is_stored
    ]
    return tuple(", ".join(draw.several(parts, 1, 2)) for _ in range(draw.pick((0, 1, 2))))


def _ruled(draw: Draw, form: Form, table: PgTable, tables: list[PgTable]) -> PgTable:
    columns = tuple(_rule(draw, form, c, table, tables) for c in table.columns)
    return replace(table, columns=columns)


def _clause(table: PgTable) -> sa.TableClause:
    names = [c.stored_as or c.name for c in table.columns if c.is_stored]
    return sa.table(table.name, *(sa.column(name) for name in (*names, *table.extra)))


def _rule(
    draw: Draw, form: Form, column: PgColumn, table: PgTable, tables: list[PgTable]
) -> PgColumn:
    target, kind, quoted = f"{table.name}.{column.name}", column.kind, form.quoted
    if column.how == "renamed":
        rule = rules.renamed(target, column.stored_as)
        return replace(column, rule=rule, sql=f"o.{quoted(column.stored_as)}")
    if column.how == "replaced":
        assert kind.mapped is not None
        before, after = kind.mapped
        name, old, new = (quoted(column.name), *map(_literal, kind.mapped))
        sql = f"CASE WHEN o.{name} = {old} THEN {new} ELSE o.{name} END"
        return replace(column, rule=rules.mapped(target, {before: after}), sql=sql)
    if column.how != "given":
        return column
    make = draw.pick((rules.derived, rules.neutral))
    alike = [
        (other, c.stored_as or c.name)
        for other in tables
        if other.is_stored
        for c in other.columns
        if c.is_stored and c.kind is kind and kind.name not in ("bool", "json", "mood", "bytes")
    ]
    other, name = draw.pick(alike) if alike else (table, "")
    pairs = _pairs(table, other)
    if alike and pairs and not draw.chance(3):
        mine, its = draw.pick(pairs)
        clause = _clause(other).alias("other")
        value: sa.ColumnElement[Any] = sa.func.max(clause.c[name])
        expression = sa.select(value).where(clause.c[its] == _clause(table).c[mine])
        sql = (
            f"(SELECT max(i.{quoted(name)}) FROM old.{quoted(other.name)} AS i "
            f"WHERE i.{quoted(its)} = o.{quoted(mine)})"
        )
        return replace(column, rule=make(target, expression.scalar_subquery()), sql=sql)
    value_sql = draw.pick(kind.values)
    constant: sa.ColumnElement[Any] = sa.literal_column(form.typed(value_sql, kind), kind.make())
    return replace(column, rule=make(target, constant), sql=value_sql)


def _pairs(table: PgTable, other: PgTable) -> list[tuple[str, str]]:
    """Give a stored column of each, as often as two can be compared."""
    return [
        (mine.stored_as or mine.name, its.stored_as or its.name)
        for mine in table.columns
        for its in other.columns
        if mine.is_stored and its.is_stored and mine.kind.group == its.kind.group
    ]


def _literal(value: object) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


# --- statements -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Source:
    prefix: str
    columns: tuple[tuple[str, PgKind], ...]


def draw_pg_query(draw: Draw, case: PgCase) -> tuple[str, bool]:
    """Draw a reading statement in SQL text, and tell whether its order is settled.

    Args:
        draw: Makes the choices.
        case: Whose tables it reads.
    """
    writer = _Writer(draw, case)
    sql, kinds = writer.statement()
    ordered = bool(kinds) and "json" not in kinds and draw.chance(2)
    if ordered:
        keys = ", ".join(f"{at}{draw.pick(('', ' DESC'))}" for at in range(1, len(kinds) + 1))
        sql = f"{sql} ORDER BY {keys}{draw.pick(('', ' LIMIT 2', ' LIMIT 9 OFFSET 1'))}"
    # Drivers of servers take a percent sign for the beginning of a placeholder.
    return sql if case.form is DUCKDB else sql.replace("%", "%%"), ordered


class _Writer:
    def __init__(self, draw: Draw, case: PgCase) -> None:
        self._draw = draw
        self._case = case
        self._form = case.form
        self._kinds = tuple(case.form.kinds.values())
        self._ctes: list[tuple[str, tuple[tuple[str, PgKind], ...]]] = []
        self._count = 0

    def statement(self) -> tuple[str, list[str]]:
        draw = self._draw
        if draw.chance(20) and not self._form.is_mariadb:
            table = draw.pick(self._case.tables)
            return f"TABLE {self._form.quoted(table.name)}", []
        if draw.chance(12) and not self._form.is_mariadb:
            # The whole row, as one value; a driver makes of it what it knows of its type.
            table = draw.pick(self._case.tables)
            return f"SELECT x.*, x::text FROM {self._form.quoted(table.name)} AS x", []
        head = self._with() if draw.chance(3) else ""
        kinds = [draw.pick(self._kinds) for _ in range(1 + draw.below(3))]
        body = self._select(kinds, [], 0, star=True)
        if body.startswith("*"):
            return head + body[1:], []
        while draw.chance(4):
            body += f" {draw.pick(('UNION ALL', 'UNION', 'EXCEPT', 'INTERSECT'))} "
            body += self._select(kinds, [], 1)
        comment = draw.pick(("", "", "/* tokens /* nested */ ' */ ", "-- rows \" '\n"))
        if self._form.is_mariadb and "nested" in comment:
            comment = "# tokens \" '\n"
        return comment + head + body, [kind.name for kind in kinds]

    def _name(self, name: str, *, folds: bool = True) -> str:
        plain = name.isascii() and name.isidentifier() and name.islower()
        if plain and name not in _WORDS and self._draw.chance(2):
            return name.upper() if folds and self._draw.chance(4) else name
        return self._form.quoted(name)

    def _new(self) -> str:
        self._count += 1
        return f"x{self._count}"

    def _with(self) -> str:
        draw = self._draw
        ctes = []
        for _ in range(1 + draw.below(2)):
            name = draw.pick(self._case.tables).name if draw.chance(3) else self._new()
            if any(name == known for known, _ in self._ctes):
                name = self._new()
            kinds = [draw.pick(self._kinds) for _ in range(1 + draw.below(2))]
            columns = tuple((f"c{at}", kind) for at, kind in enumerate(kinds))
            hint = draw.pick(("", "", " MATERIALIZED", " NOT MATERIALIZED"))
            hint = "" if self._form.is_mariadb else hint
            head = f"{self._form.quoted(name)}({', '.join(c for c, _ in columns)}) AS{hint}"
            ctes.append(f"{head} ({self._select(kinds, [], 1)})")
            self._ctes.append((name, columns))
        # A recursive one that has a table's name would mean itself by it.
        own = {name for name, _ in self._ctes} & {table.name for table in self._case.tables}
        recursive = "" if own or draw.chance(2) else "RECURSIVE "
        return f"WITH {recursive}{', '.join(ctes)} "

    def _source(self, depth: int) -> tuple[_Source, str]:
        draw = self._draw
        alias = self._new()
        if depth < 2 and draw.chance(6):
            kinds = [draw.pick(self._kinds) for _ in range(2)]
            columns = tuple((f"d{at}", kind) for at, kind in enumerate(kinds))
            names = ", ".join(name for name, _ in columns)
            if self._form.is_mariadb:
                inner = self._select(kinds, [], depth + 1, names=names.split(", "))
                return _Source(alias, columns), f"({inner}) AS {alias}"
            return (
                _Source(alias, columns),
                f"({self._select(kinds, [], depth + 1)}) AS {alias}({names})",
            )
        if self._ctes and draw.chance(3):
            name, columns = draw.pick(self._ctes)
            return _Source(alias, columns), f"{self._name(name)} AS {alias}"
        table = draw.pick(self._case.tables)
        hidden = any(name == table.name for name, _ in self._ctes)
        text = self._name(table.name, folds=not self._form.is_mariadb)
        qualified = hidden or draw.chance(4)
        schema = table.schema if table.is_stored else self._form.path[0]
        if qualified:
            text = (
                f"{draw.pick((schema, self._form.quoted(schema)))}{draw.pick(('.', ' . '))}{text}"
            )
        columns = tuple(table.visible(self._form))
        if depth == 0 and draw.chance(3) and self._count == 1 and not hidden:
            prefix = (
                f"{schema}.{self._form.quoted(table.name)}"
                if qualified
                else self._form.quoted(table.name)
            )
            return _Source(prefix, columns), text
        return _Source(alias, columns), f"{text}{draw.pick((' AS ', ' '))}{alias}"

    def _from(self, depth: int) -> tuple[list[_Source], str]:
        draw = self._draw
        source, text = self._source(depth)
        sources = [source]
        for _ in range(draw.pick((0, 0, 1, 1, 2)) if depth < 2 else 0):
            source, joined = self._source(depth + 1)
            before = sources[-1]
            sources.append(source)
            how = draw.pick(("JOIN", "LEFT JOIN", "CROSS JOIN", ",", "RIGHT JOIN"))
            if how in ("CROSS JOIN", ","):
                text += f"{'' if how == ',' else ' '}{how} {joined}"
                continue
            text += f" {how} {joined} ON {self._match(before, source)}"
        return sources, text

    def _match(self, left: _Source, right: _Source) -> str:
        pairs = [
            (a, b)
            for a, of in left.columns
            for b, its in right.columns
            if of.group == its.group and of.name != "json"
        ]
        if not pairs:
            return "true"
        a, b = self._draw.pick(pairs)
        return f"{left.prefix}.{self._form.quoted(a)} = {right.prefix}.{self._form.quoted(b)}"

    def _column(self, sources: Sequence[_Source], kind: PgKind) -> str | None:
        alike = [
            (source, name) for source in sources for name, its in source.columns if its is kind
        ]
        if not alike:
            return None
        source, name = self._draw.pick(alike)
        count = sum(name == other for s in sources for other, _ in s.columns)
        if count == 1 and self._draw.chance(2):
            return self._name(name)
        return f"{source.prefix}.{self._name(name)}"

    def _value(self, sources: Sequence[_Source], kind: PgKind, depth: int) -> str:
        draw = self._draw
        column = self._column(sources, kind)
        literal = self._form.typed(draw.pick(kind.values), kind)
        if column is None or draw.chance(8):
            return literal
        how = draw.below(10) if depth < 3 else 0
        match how:
            case 6:
                return f"coalesce({column}, {literal})"
            case 7:
                when = self._predicate(sources, depth + 1)
                return f"CASE WHEN {when} THEN {column} ELSE {literal} END"
            case 8 if kind.name not in ("bool", "json", "mood", "bytes"):
                inner, text = self._from(depth + 1)
                found = self._column(inner, kind)
                if found is None:
                    return column
                where = self._predicate([*inner, *sources], depth + 1)
                return f"(SELECT max({found}) FROM {text} WHERE {where})"
            case 9:
                return f"nullif({column}, {literal})"
            case _:
                return column

    def _predicate(self, sources: Sequence[_Source], depth: int) -> str:
        draw = self._draw
        kind = draw.pick(self._kinds)
        value = self._value(sources, kind, depth + 1)
        how = draw.below(9) if depth < 3 else draw.below(4)
        literal = self._form.typed(draw.pick(kind.values), kind)
        match how:
            case 0 | 1:
                equals = "<=>" if self._form.is_mariadb else "IS DISTINCT FROM"
                return f"{value} {draw.pick(('=', '<>', equals))} {literal}"
            case 2:
                return f"{value} IS {draw.pick(('', 'NOT '))}NULL"
            case 3:
                return f"{value} IN ({literal}, {self._form.typed(draw.pick(kind.values), kind)})"
            case 4:
                return f"{value} IN ({self._select([kind], [], depth + 1)})"
            case 5:
                return f"EXISTS ({self._select([kind], list(sources), depth + 1)})"
            case 6:
                return f"NOT ({self._predicate(sources, depth + 1)})"
            case 7:
                both = self._predicate(sources, depth + 1), self._predicate(sources, depth + 1)
                return f"({both[0]} {draw.pick(('AND', 'OR'))} {both[1]})"
            case _ if kind.name != "list":
                inner = self._select([kind], [], depth + 1)
                inner = inner if self._form.is_mariadb else f"ARRAY({inner})"
                return f"{value} = ANY ({inner})"
            case _:
                return f"{value} @> {literal}"

    def _select(
        self,
        kinds: Sequence[PgKind],
        outer: list[_Source],
        depth: int,
        *,
        star: bool = False,
        names: Sequence[str] = (),
    ) -> str:
        draw = self._draw
        sources, text = self._from(depth)
        where = f" WHERE {self._predicate([*sources, *outer], depth + 1)}" if draw.chance(3) else ""
        if star and draw.chance(6):
            return f"*SELECT {draw.pick(('*', sources[0].prefix + '.*'))} FROM {text}{where}"
        items = [self._value(sources, kind, depth + 1) for kind in kinds]
        how = draw.below(8)
        plain = all(kind.name not in ("bool", "json", "mood", "list", "bytes") for kind in kinds)
        distinct = ""
        if how == 7 and plain:
            items = [f"max({item})" for item in items]
        else:
            if how == 6:
                items = [f"first_value({i}) OVER (PARTITION BY {i})" for i in items]
            distinct = "DISTINCT " if draw.chance(6) else ""
        if names:
            items = [f"{item} AS {name}" for item, name in zip(items, names, strict=True)]
        return f"SELECT {distinct}{', '.join(items)} FROM {text}{where}"


_WORDS = frozenset({"order", "select", "values", "group", "desc", "left", "row", "rows"})
