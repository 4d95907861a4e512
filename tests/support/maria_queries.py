"""Statements for MariaDB in every shape that its optimiser treats in its own way.

Semijoins and antijoins by whatever word, tables that are worked out, aggregates of nothing, joins
within joins, windows: each may stand within each other, so that they are also taken apart together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from support.drifts import Draw
from support.pg_cases import PgCase, PgKind, PgTable

__all__ = ["draw_maria_query"]

# Of a value that is one of several which compare as equal, any may be shown.
_GREATEST = ("int", "big", "str", "text", "bytewise", "latin", "num", "float", "time", "day")
_COMPARED = ("=", "=", "=", "<>", "<", ">=", "<=>")
_PATTERNS = ("'a%'", "'%5'", "'_'", "'%'", "'it%'", "NULL")
_JOINS = ("JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "CROSS JOIN", ",", "STRAIGHT_JOIN")
_DEEPEST = 3
_COLUMN = re.compile(r"\w+\.`(?:[^`]|``)*`")


class _Source(NamedTuple):
    """What rows come from: the name that it goes by, and its columns."""

    alias: str
    columns: tuple[tuple[str, PgKind], ...]


def draw_maria_query(draw: Draw, case: PgCase) -> tuple[str, bool]:
    """Draw a reading statement in SQL text, and tell whether its order is settled.

    Args:
        draw: Makes the choices.
        case: Whose tables it reads.
    """
    sql, ordered = _Writer(draw, case).statement()
    # The driver takes a percent sign for the beginning of a placeholder.
    return sql.replace("%", "%%"), ordered


class _Writer:
    def __init__(self, draw: Draw, case: PgCase) -> None:
        self._draw = draw
        self._case = case
        self._kinds = [kind for kind in case.form.kinds.values() if kind.name in _GREATEST]
        self._ctes: list[_Source] = []
        self._count = 0

    def statement(self) -> tuple[str, bool]:
        draw, ctes = self._draw, []
        for _ in range(draw.pick((0, 0, 1, 2))):
            kinds = self._some_kinds(1, 3)
            name, names = self._new("w"), [f"c{at}" for at in range(len(kinds))]
            ctes.append(f"{name} AS ({self._query(kinds, [], 1, names)})")
            self._ctes.append(_Source(name, tuple(zip(names, kinds, strict=True))))
        recursive = draw.chance(10)
        if recursive:
            ctes.append(self._recursive())
        kinds = self._some_kinds(1, 3)
        body = self._query(kinds, [], 0, [f"r{at}" for at in range(len(kinds))])
        word = "WITH RECURSIVE" if recursive else "WITH"
        head = f"{word} {', '.join(ctes)} " if ctes else ""
        if draw.chance(8):
            return f"{head}SELECT {draw.pick(('*', 'q.*, 1'))} FROM ({body}) AS q", False
        if not draw.chance(3):
            return head + body, False
        return head + body + self._ordered(len(kinds)), True

    def _recursive(self) -> str:
        """Write a common table expression that goes from row to row, a few times."""
        draw, name = self._draw, self._new("w")
        table = draw.pick(self._case.tables)
        source, text = self._table(table, self._new("x"))
        further, more = self._table(table, self._new("x"))
        key, kind = draw.pick([c for c in source.columns if c[1].name not in ("json", "bytes")])
        to = draw.pick([c for c, its in further.columns if its.group == kind.group])
        self._ctes.append(_Source(name, (("c0", kind),)))
        first = f"SELECT {source.alias}.{self._quoted(key)} AS c0, 1 AS depth FROM {text}"
        then = (
            f"SELECT {further.alias}.{self._quoted(key)}, r.depth + 1 FROM {name} AS r JOIN {more} "
            f"ON r.c0 {draw.pick(('=', '<=>'))} {further.alias}.{self._quoted(to)}"
        )
        return f"{name} AS ({first} UNION {then} WHERE r.depth < 3)"

    def _ordered(self, width: int) -> str:
        draw = self._draw
        keys = ", ".join(f"{at}{draw.pick(('', ' DESC'))}" for at in range(1, width + 1))
        return f" ORDER BY {keys}{draw.pick(('', ' LIMIT 1', ' LIMIT 3', ' LIMIT 9 OFFSET 1'))}"

    def _some_kinds(self, least: int, most: int) -> list[PgKind]:
        return [self._draw.pick(self._kinds) for _ in range(least + self._draw.below(most))]

    def _new(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"

    # --- selects ------------------------------------------------------------------------------

    def _query(
        self, kinds: Sequence[PgKind], outer: list[_Source], depth: int, names: Sequence[str] = ()
    ) -> str:
        text = self._select(kinds, outer, depth, names)
        while self._draw.chance(8):
            text += f" {self._draw.pick(('UNION ALL', 'UNION', 'EXCEPT', 'INTERSECT'))} "
            text += self._select(kinds, outer, depth + 1, names)
        return text

    def _select(
        self, kinds: Sequence[PgKind], outer: list[_Source], depth: int, names: Sequence[str] = ()
    ) -> str:
        draw = self._draw
        sources, text = self._from(outer, depth)
        within = [*sources, *outer]
        text = f" FROM {text}"
        where = "" if draw.chance(3) else f" WHERE {self._predicate(within, depth + 1)}"
        how = draw.below(11)
        if how == 10:
            # Of no rows, a column is NULL beside an aggregate.
            column = self._column(sources, draw.pick(self._kinds)) or "1"
            where = f" WHERE {draw.pick(('1 = 0', f'{column} <> {column}'))}"
        text += where
        distinct = ""
        if how < 2:
            items = [self._aggregate(sources, kind, depth) for kind in kinds]
            if draw.chance(3):
                text += f" HAVING {self._counted(sources)} {draw.pick(('>', '=', '<'))} 1"
        elif how < 4:
            keys = [self._column(sources, kind) for kind in kinds]
            if draw.chance(2):
                keys = [
                    key and draw.pick((key, f"coalesce({key}, {draw.pick(kind.values)})"))
                    for key, kind in zip(keys, kinds, strict=True)
                ]
            grouped = list(dict.fromkeys(key for key in keys if key))[: 1 + draw.below(2)]
            items = [
                key if key in grouped else self._aggregate(sources, kind, depth)
                for key, kind in zip(keys, kinds, strict=True)
            ]
            text += f" GROUP BY {', '.join(grouped)}" if grouped else ""
            text += " WITH ROLLUP" if grouped and draw.chance(5) else ""
            # With ROLLUP, such a condition may kill the server.
            if grouped and draw.chance(4) and not text.endswith("ROLLUP"):
                kind = kinds[keys.index(grouped[0])]
                text += f" HAVING {grouped[0]} {draw.pick(_COMPARED)} {draw.pick(kind.values)}"
            elif draw.chance(4):
                text += f" HAVING {self._counted(sources)} {draw.pick(('>', '=', '<'))} 1"
        elif how < 5 and (names or not depth or draw.chance(4)):
            items = [self._windowed(sources, kind, depth) for kind in kinds]
        elif how == 10:
            items = [
                self._column(sources, kind) or self._aggregate(sources, kind, depth)
                for kind in kinds
            ]
            items[-1] = self._aggregate(sources, kinds[-1], depth)
        else:
            items = [self._value(within, kind, depth + 1) for kind in kinds]
            # What a table that is merged works out MariaDB also gives to rows that an outer join
            # makes up, on the migrated copy as well, if it so plans.
            is_worked_out = any(not _COLUMN.fullmatch(item) for item in items)
            distinct = "DISTINCT " if (names and depth and is_worked_out) or draw.chance(4) else ""
        if names:
            items = [f"{item} AS {name}" for item, name in zip(items, names, strict=True)]
        return f"SELECT {distinct}{', '.join(items)}{text}"

    def _counted(self, sources: list[_Source]) -> str:
        column = self._column(sources, self._draw.pick(self._kinds))
        return f"count({column})" if column else "count(*)"

    def _aggregate(self, sources: list[_Source], kind: PgKind, depth: int) -> str:
        draw = self._draw
        value = self._value(sources, kind, max(depth, _DEEPEST))  # no subquery within
        if kind.name in ("int", "big"):
            counted = self._column(sources, draw.pick(self._kinds)) or "*"
            distinct = "DISTINCT " if counted != "*" and draw.chance(2) else ""
            return draw.pick(
                (f"max({value})", f"sum({value})", "count(*)", f"count({distinct}{counted})")
            )
        if kind.name == "text" and draw.chance(2):
            return f"group_concat({value} ORDER BY {value} SEPARATOR '|')"
        return f"{draw.pick(('max', 'min'))}({value})"

    def _windowed(self, sources: list[_Source], kind: PgKind, depth: int) -> str:
        draw = self._draw
        value = self._value(sources, kind, _DEEPEST)
        named = {k for s in sources for _, k in s.columns if k in self._kinds}
        key = self._column(sources, draw.pick([k for k in self._kinds if k in named] or [kind]))
        if not key:
            return value  # beside a window by a constant, the server works others out wrongly
        # Peers count together, so that their order does not tell.
        over = draw.pick((f"PARTITION BY {key}", f"ORDER BY {key}", f"ORDER BY {key} DESC", ""))
        if kind.name in ("int", "big"):
            called = draw.pick((f"sum({value})", f"count({value})", "count(*)"))
            if over.startswith("ORDER"):
                called = draw.pick((called, "rank()", "dense_rank()"))
            return f"{called} OVER ({over})"
        if draw.chance(2) and _COLUMN.fullmatch(value):
            return f"first_value({value}) OVER (PARTITION BY {value})"
        return f"{draw.pick(('max', 'min'))}({value}) OVER ({over})"

    # --- tables -------------------------------------------------------------------------------

    def _from(self, outer: list[_Source], depth: int) -> tuple[list[_Source], str]:
        draw = self._draw
        source, text = self._source(outer, depth)
        sources = [source]
        for _ in range(draw.pick((0, 1, 1, 2)) if depth < _DEEPEST else draw.below(2)):
            before, how = sources[-1], draw.pick(_JOINS)
            if draw.chance(6):
                source, inner = self._source(outer, depth + 1)
                other, more = self._source(outer, depth + 1)
                word = draw.pick(("JOIN", "LEFT JOIN"))
                joined = f"({inner} {word} {more} ON {self._on([source], other, depth)})"
                added = [source, other]
            else:
                source, joined = self._source(outer, depth + 1)
                added = [source]
            sources += added
            if how in ("CROSS JOIN", ","):
                text += f"{'' if how == ',' else ' '}{how} {joined}"
                continue
            shared = [
                name for name, _ in before.columns if added[0] is source and _has(source, name)
            ]
            if shared and len(sources) == 2 and how != "STRAIGHT_JOIN" and draw.chance(3):
                natural = f" NATURAL {how} {joined}"
                using = f" {how} {joined} USING ({self._quoted(draw.pick(shared))})"
                text += draw.pick((natural, using))
                continue
            text += f" {how} {joined} ON {self._on([before], draw.pick(added), depth)}"
        return sources, text

    def _source(self, outer: list[_Source], depth: int) -> tuple[_Source, str]:
        draw, alias = self._draw, self._new("x")
        if depth < _DEEPEST and draw.chance(6):
            kinds = self._some_kinds(1, 2)
            names = [f"d{at}" for at in range(len(kinds))]
            inner = self._query(kinds, [], depth + 1, names)
            if draw.chance(3):
                inner += self._ordered(len(kinds))
            return _Source(alias, tuple(zip(names, kinds, strict=True))), f"({inner}) AS {alias}"
        if self._ctes and draw.chance(3):
            cte = draw.pick(self._ctes)
            return _Source(alias, cte.columns), f"{cte.alias} AS {alias}"
        return self._table(draw.pick(self._case.tables), alias)

    def _table(self, table: PgTable, alias: str) -> tuple[_Source, str]:
        name = self._quoted(table.name)
        schema = f"{self._case.form.path[0]}." if self._draw.chance(6) else ""
        return _Source(alias, tuple(table.visible(self._case.form))), f"{schema}{name} AS {alias}"

    def _on(self, left: list[_Source], right: _Source, depth: int) -> str:
        draw = self._draw
        pairs = [
            (f"{source.alias}.{self._quoted(a)}", f"{right.alias}.{self._quoted(b)}")
            for source in left
            for a, of in source.columns
            for b, its in right.columns
            if of.group == its.group and of.name != "json"
        ]
        met = " = ".join(draw.pick(pairs)) if pairs else draw.pick(("true", "1 = 0"))
        if draw.chance(4):
            met += f" AND {self._predicate([*left, right], depth + 2)}"
        return met

    # --- values -------------------------------------------------------------------------------

    def _quoted(self, name: str) -> str:
        return self._case.form.quoted(name)

    def _column(self, sources: Sequence[_Source], kind: PgKind) -> str:
        alike = [(s.alias, name) for s in sources for name, its in s.columns if its is kind]
        if not alike:
            return ""
        alias, name = self._draw.pick(alike)
        return f"{alias}.{self._quoted(name)}"

    def _value(self, sources: list[_Source], kind: PgKind, depth: int) -> str:
        draw = self._draw
        literal, column = draw.pick(kind.values), self._column(sources, kind)
        if not column or draw.chance(10):
            return literal
        match draw.below(12 if depth < _DEEPEST else 8):
            case 4:
                return f"coalesce({column}, {literal})"
            case 5:
                return f"nullif({column}, {literal})"
            case 6:
                other = self._column(sources, kind) or literal
                return f"{draw.pick(('greatest', 'least', 'ifnull'))}({column}, {other})"
            case 7:
                when = self._predicate(sources, depth + 1)
                return f"CASE WHEN {when} THEN {column} ELSE {literal} END"
            case 8:
                return f"({self._one(kind, sources, depth + 1)})"
            case 9 if kind.name in ("int", "big"):
                inner = self._select([draw.pick(self._kinds)], sources, depth + 1, ["s"])
                return (
                    f"(SELECT count(z.s) FROM ({inner}) AS z)"
                    if not _needs(inner, sources)
                    else column
                )
            case _:
                return column

    def _one(self, kind: PgKind, outer: list[_Source], depth: int) -> str:
        """Select one value, if need be the least."""
        inner, text = self._from(outer, depth)
        # Not of what is further out: an aggregate of that is the outer SELECT's.
        value = self._value(inner, kind, _DEEPEST)
        where = f" WHERE {self._predicate([*inner, *outer], depth + 1)}"
        if self._draw.chance(2):
            return f"SELECT {value} FROM {text}{where} ORDER BY 1 LIMIT 1"
        return f"SELECT {self._draw.pick(('max', 'min'))}({value}) FROM {text}{where}"

    def _predicate(self, sources: list[_Source], depth: int) -> str:
        draw, kind = self._draw, self._draw.pick(self._kinds)
        columns = [k for s in sources for _, k in s.columns if k in self._kinds]
        kind = draw.pick(columns) if columns else kind
        value, literal = self._value(sources, kind, depth + 1), draw.pick(kind.values)
        how = draw.below(16) if depth < _DEEPEST else draw.below(7)
        outer = sources if draw.chance(2) else []
        if how >= 9 and "SELECT" in value:
            value = self._column(sources, kind) or literal  # the server compares none with a list
        match how:
            case 0 | 1:
                if draw.chance(8):
                    literal = draw.pick(draw.pick(self._kinds).values)
                elif kind.group == "text" and draw.chance(4):
                    return f"{value} {draw.pick(('LIKE', 'NOT LIKE'))} {draw.pick(_PATTERNS)}"
                return f"{value} {draw.pick(_COMPARED)} {literal}"
            case 2:
                return f"{value} {draw.pick(_COMPARED)} {self._value(sources, kind, depth + 1)}"
            case 3:
                return f"{value} IS {draw.pick(('', 'NOT '))}NULL"
            case 4:
                more = ", ".join(draw.pick(kind.values) for _ in range(1 + draw.below(3)))
                return f"{value} {draw.pick(('', 'NOT '))}IN ({more})"
            case 5:
                return f"{value} BETWEEN {literal} AND {self._value(sources, kind, depth + 1)}"
            case 6 | 7:
                both = self._predicate(sources, depth + 1), self._predicate(sources, depth + 1)
                return f"({both[0]} {draw.pick(('AND', 'OR'))} {both[1]})"
            case 8:
                told = self._predicate(sources, depth + 1)
                return draw.pick((f"NOT ({told})", f"({told}) IS {draw.pick(('', 'NOT '))}TRUE"))
            case 9 | 10:
                return f"{value} IN ({self._query([kind], outer, depth + 1)})"
            case 11:
                return f"{value} NOT IN ({self._query([kind], outer, depth + 1)})"
            case 12:
                how_many = draw.pick(("= ANY", "<> ALL", "> ANY", "<= ALL"))
                return f"{value} {how_many} ({self._query([kind], outer, depth + 1)})"
            case 13:
                other = draw.pick(self._kinds)
                pair = f"({value}, {self._value(sources, other, depth + 1)})"
                return (
                    f"{pair} {draw.pick(('', 'NOT '))}IN "
                    f"({self._query([kind, other], outer, depth + 1)})"
                )
            case _:
                word = draw.pick(("EXISTS", "NOT EXISTS"))
                return f"{word} ({self._query([kind], sources, depth + 1)})"


def _has(source: _Source, name: str) -> bool:
    return any(name == its for its, _ in source.columns)


def _needs(text: str, sources: list[_Source]) -> bool:
    """Tell whether a text names one of the tables further out, which a table cannot be told."""
    return any(f"{source.alias}." in text for source in sources)
