"""SQL text over the tables of a drawn case: every construct in which a table may be named."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from functools import cache

from landscape_compat.schema.shape import fold_name
from support.drifts import KINDS, Case, Draw, literal, quoted

__all__ = ["Query", "draw_query"]

_BARE = re.compile(r"[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]*")
# SQLite's own words, which stand bare for nothing else.
_WORDS = frozenset(
    """add all alter and as between by case check collate commit constraint create default
    deferrable delete desc distinct drop else escape except exists foreign from group having in
    index indexed inner insert intersect into is isnull join left limit natural not nothing
    notnull null on or order outer primary references returning right rollback row rows select
    set table then to transaction union unique update using values when where with full cross
    recursive""".split()
)
_COMMENTS = ("", "", "", "", "/* tokens, * */", "-- rows ' \"\n", "/* 'WITH */")
_LITERALS = ("1", "5", "'5'", "'a'", "NULL", "''", "'05'", "0.5", "42", "'tokens'", "x'35'", "-1")
# Only compared: where they are results, DISTINCT would keep either of two that differ in case.
_FOLDED = ("'q'", "'MM'", "'mM'", "'zz'")
_COMPARED = ("=", "<>", "<", "<=", ">", "IS", "IS NOT", "==", "IS DISTINCT FROM")
_ROW_NUMBERS = ("rowid", "oid", "_ROWID_")
# What is told apart in the name of a column that has no alias.
_UNSETTLED = ("main", "indexed", *(name.lower() for name in _ROW_NUMBERS))
_COMPOUNDS = ("UNION ALL", "UNION", "INTERSECT", "EXCEPT")
_JOINS = ("JOIN", "LEFT JOIN", ",", "CROSS JOIN", "RIGHT JOIN", "FULL OUTER JOIN", "INNER JOIN")


@dataclass(frozen=True, slots=True)
class Query:
    """A statement and what may be asked of its answer.

    Args:
        sql: The text.
        ordered: Whether the order of the rows is settled.
        labelled: Whether the names of the columns are settled: SQLite names a column without
            an alias after the text of its expression.
    """

    sql: str
    ordered: bool = False
    labelled: bool = True


@dataclass(frozen=True, slots=True)
class _Source:
    """Something that rows come from: its name, as what comes before a column, its columns."""

    name: str
    prefix: str
    columns: tuple[tuple[str, str], ...]
    is_table: bool = False
    size: int = 6


def draw_query(draw: Draw, case: Case) -> Query:
    """Draw a reading statement in SQL text.

    Args:
        draw: Makes the choices.
        case: Whose tables it reads.
    """
    return _Writer(draw, case).query()


@cache
def _is_plain(name: str) -> bool:
    return bool(_BARE.fullmatch(name)) and name.lower() not in _WORDS


class _Writer:
    def __init__(self, draw: Draw, case: Case) -> None:
        self._draw = draw
        self._case = case
        self._count = 0
        self._labelled = True
        self._ctes: list[tuple[str, _Source]] = []
        self._pending: set[str] = set()
        self._size = 1  # of the last SELECT written

    def query(self) -> Query:
        draw = self._draw
        head = self._with(0) if draw.chance(3) else ""
        kind = draw.below(12)
        if kind == 11:
            return Query(
                f"{head}VALUES ({self._scalar([], 1)}), ({self._literal()})", labelled=True
            )
        width = 1 + draw.below(3)
        body, names = self._select(width, [], 0, star=True)
        # A star's width is not known here.
        while width == len(names) and draw.chance(4):
            body += f" {draw.pick(_COMPOUNDS)} {self._select(width, [], 0)[0]}"
        ordered = width == len(names) and draw.chance(2)
        if ordered:
            keys = draw.several(range(1, width + 1), width, width)
            body += " ORDER BY " + ", ".join(f"{k}{draw.pick(('', ' DESC'))}" for k in keys)
            if draw.chance(2):
                body += draw.pick((" LIMIT 2", " LIMIT 3 OFFSET 1", " LIMIT 1"))
        return Query(
            self._space() + head + body + draw.pick(("", "", ";", " -- end")),
            ordered,
            self._labelled,
        )

    # Names ----------------------------------------------------------------------------------

    def _name(self, name: str) -> str:
        """Write a name in one of the ways that SQLite takes it."""
        draw = self._draw
        if draw.chance(6):
            name = name.swapcase() if name.isascii() else name
        how = draw.below(5)
        if how <= 1 and _is_plain(name):
            return name
        if how == 2 and "]" not in name:
            return f"[{name}]"
        if how == 3:
            return "`" + name.replace("`", "``") + "`"
        return quoted(name)

    def _new(self) -> str:
        self._count += 1
        return f"x{self._count}"

    def _space(self) -> str:
        comment = self._draw.pick(_COMMENTS)
        return f"{comment} " if comment else ""

    # Sources --------------------------------------------------------------------------------

    def _with(self, depth: int) -> str:
        draw = self._draw
        ctes, recursive = [], False
        names = [self._new() for _ in range(1 + draw.below(2))]
        if draw.chance(3):
            names[-1] = draw.pick(self._case.tables).name
        # Each of them may name all the others, and itself only if it is recursive.
        self._pending |= {fold_name(name) for name in names}
        for named in names:
            hint = draw.pick(("", "", " MATERIALIZED", " NOT MATERIALIZED"))
            if draw.chance(4):
                recursive = True
                body = self._recursive(named)
                columns: tuple[tuple[str, str], ...] = (("depth", "int"), ("v", "any"))
                head = f"{self._name(named)}(depth, v)"
            else:
                width = 1 + draw.below(2)
                body, names = self._select(width, [], depth + 1)
                columns = tuple((f"c{n}", "any") for n in range(width))
                head = f"{self._name(named)}({', '.join(name for name, _ in columns)})"
                if draw.chance(2):
                    head, columns = self._name(named), tuple((name, "any") for name in names)
            ctes.append(f"{head} AS{hint} ({body})")
            self._pending.discard(fold_name(named))
            self._ctes = [cte for cte in self._ctes if fold_name(cte[0]) != fold_name(named)]
            self._ctes.append((named, _Source(named, named, columns, size=self._size)))
        return f"WITH {'RECURSIVE ' if recursive else ''}{', '.join(ctes)} "

    def _recursive(self, named: str) -> str:
        draw = self._draw
        source, text = self._base()
        first = self._column([source])
        step = f"SELECT depth + 1, v FROM {quoted(named)} WHERE depth < 2"
        if draw.chance(2):
            joined, joined_text = self._base({fold_name(named)})
            step = (
                f"SELECT depth + 1, {self._column([joined])} FROM {quoted(named)}, {joined_text} "
                f"WHERE depth < 2 AND v = {self._column([joined])}"
            )
        self._size = 3 * source.size
        return f"SELECT 0, {first} FROM {text} UNION {step}"

    def _base(self, taken: Set[str] = frozenset()) -> tuple[_Source, str]:
        """Name a table, or a common table expression."""
        draw = self._draw
        table = draw.pick(self._case.tables)
        folded = fold_name(table.name)
        shadows = [cte for cte in self._ctes if fold_name(cte[0]) == folded]
        qualified = draw.chance(4) or folded in self._pending
        if self._ctes and not qualified and (shadows or draw.chance(3)):
            named, source = draw.pick(shadows or self._ctes)
            alias = self._new()
            return replace(source, name=alias, prefix=alias), f"{self._name(named)} AS {alias}"
        columns = tuple((name, kind.name) for name, kind in table.visible())
        text = self._name(table.name)
        if qualified:
            text = f"{draw.pick(('main', 'MAIN', '[main]'))}{draw.pick(('.', ' . '))}{text}"
        name = folded
        how = draw.below(4)
        if how == 0 or folded in taken:
            # Also under the name of another table, or its own.
            alias = draw.pick(self._case.tables).name if draw.chance(5) else self._new()
            alias = self._new() if fold_name(alias) in taken else alias
            name, prefix = fold_name(alias), self._name(alias)
            text += draw.pick((" AS ", " ")) + quoted(alias)
        elif how == 1 and qualified:
            prefix = "main." + self._name(table.name)
        else:
            prefix = self._name(table.name)
        if draw.chance(10):
            text += " NOT INDEXED"
        return _Source(name, prefix, columns, is_table=True), text

    def _source(self, taken: Set[str], depth: int) -> tuple[_Source, str]:
        draw = self._draw
        if depth < 2 and draw.chance(5):
            width = 1 + draw.below(2)
            alias = self._new()
            if draw.chance(6):
                rows = ", ".join(f"({self._literal()}, {self._literal()})" for _ in range(2))
                columns = (("column1", "any"), ("column2", "any"))
                return _Source(alias, alias, columns, size=2), f"(VALUES {rows}) AS {alias}"
            outside = list(self._ctes)
            head = self._with(depth + 1) if draw.chance(8) else ""
            body, names = self._select(width, [], depth + 1)
            if draw.chance(4):
                body += f" UNION ALL {self._select(width, [], depth + 1)[0]}"
            self._ctes, body = outside, head + body
            shown = tuple((name, "any") for name in names)
            return _Source(alias, alias, shown, size=self._size), f"({body}) AS {alias}"
        return self._base(taken)

    def _from(self, depth: int) -> tuple[list[_Source], str]:
        draw = self._draw
        source, text = self._source(frozenset(), depth)
        sources = [source]
        taken = {source.name}
        size = source.size
        for _ in range(draw.pick((0, 0, 1, 1, 2)) if depth < 2 else 0):
            if size > (40, 6, 1)[depth]:
                break  # what is joined without a condition grows fast
            source, joined = self._source(frozenset() if draw.chance(20) else taken, depth)
            taken.add(source.name)
            size *= source.size
            how = draw.pick(_JOINS)
            before = sources[-1]
            sources.append(source)
            shared = [
                name
                for name, _ in source.columns
                if any(fold_name(name) == fold_name(other) for other, _ in before.columns)
            ]
            if draw.chance(8) and how != ",":
                text += f" NATURAL {how.replace('CROSS ', '')} {joined}"
            elif shared and how not in (",", "CROSS JOIN") and draw.chance(3):
                text += f" {how} {joined} USING ({self._name(draw.pick(shared))})"
            elif how in (",", "CROSS JOIN"):
                text += f"{'' if how == ',' else ' '}{how} {joined}"
            elif draw.chance(8):
                text += f" {how} ({joined}) ON {self._predicate(sources, depth + 1)}"
            else:
                text += f" {how} {joined} ON {self._match(sources, depth)}"
        self._size = size
        return sources, self._space() + text

    def _match(self, sources: list[_Source], depth: int) -> str:
        if self._draw.chance(3):
            return self._predicate(sources, depth + 1)
        before = self._column(sources[:-1], whole=sources)
        return f"{before} = {self._column(sources[-1:], whole=sources)}"

    # Expressions ------------------------------------------------------------------------------

    def _literal(self) -> str:
        if self._draw.chance(3):
            kind = self._draw.pick(tuple(KINDS.values()))
            return literal(self._draw.pick(kind.values))
        return self._draw.pick(_LITERALS)

    def _column(
        self,
        sources: Sequence[_Source],
        kinds: tuple[str, ...] = (),
        *,
        whole: Sequence[_Source] = (),
    ) -> str:
        draw, whole = self._draw, whole or sources
        found = [
            (source, name)
            for source in sources
            for name, kind in source.columns
            if not kinds or kind in kinds
        ]
        if not found:
            return "NULL"
        source, name = draw.pick(found)
        # Two of one name: SQLite then takes no row number for meant, but a column.
        alike = [other for other in whole if other.name == source.name]
        if draw.chance(40) and source.is_table and len(alike) == 1:
            return f"{source.prefix}.{draw.pick(_ROW_NUMBERS)}"
        if draw.chance(60) and source.is_table and len(sources) == len(whole):
            return draw.pick(_ROW_NUMBERS)
        others = [n for s in whole for n, _ in s.columns if fold_name(n) == fold_name(name)]
        if len(others) == 1 and draw.chance(2):
            return self._name(name)
        return f"{source.prefix}.{self._name(name)}"

    def _expression(self, sources: list[_Source], depth: int) -> str:
        draw = self._draw
        how = draw.below(16) if depth < 3 else draw.below(4)
        if how <= 5:
            return self._column(sources)
        if how == 6:
            return self._literal()
        inner = self._expression(sources, depth + 1)
        match how:
            case 7:
                return f"coalesce({inner}, {self._expression(sources, depth + 1)})"
            case 8:
                when = self._predicate(sources, depth + 1)
                return f"CASE WHEN {when} THEN {inner} ELSE {self._literal()} END"
            case 9:
                return f"CAST({inner} AS {draw.pick(('TEXT', 'INTEGER'))})"
            case 10:
                return f"{inner} || {self._literal()}"
            case 11:
                return draw.pick((f"typeof({inner})", f"length({inner})", f"quote({inner})"))
            case 12:
                return f"({inner}) IS NULL"
            case 13:
                return f"({self._predicate(sources, depth + 1)})"
            case 14:
                return f"{self._column(sources, ('int', 'bool'))} + 1"
            case _:
                return self._scalar(sources, depth + 1)

    def _scalar(self, outer: list[_Source], depth: int) -> str:
        """Write a subquery of one value, whatever the order of rows."""
        sources, text = self._from(depth + 1)
        seen = sources + (outer if self._draw.chance(2) else [])
        value = self._draw.pick(
            ("count(*)", f"max({self._column(sources)})", f"count({self._column(sources)})")
        )
        return f"(SELECT {value} FROM {text} WHERE {self._predicate(seen, depth + 1)})"

    def _predicate(self, sources: list[_Source], depth: int) -> str:
        draw = self._draw
        how = draw.below(14) if depth < 3 else draw.below(5)
        left = self._expression(sources, depth + 1)
        match how:
            case 0 | 1:
                right = draw.pick(_FOLDED) if draw.chance(4) else self._literal()
                return f"{left} {draw.pick(_COMPARED)} {right}"
            case 2 | 3:
                return f"{left} {draw.pick(_COMPARED)} {self._column(sources)}"
            case 4:
                return f"{left} IS {draw.pick(('NULL', 'NOT NULL'))}"
            case 5:
                return f"{left} LIKE {draw.pick(('5', 'a%', '%o%', '_', '%'))!r}"
            case 6:
                return f"{left} IN ({self._literal()}, {self._literal()}, {self._column(sources)})"
            case 7:
                body = self._select(1, sources, depth + 1)[0]
                return f"{left} {draw.pick(('', 'NOT '))}IN ({body})"
            case 8:
                inner, text = self._from(depth + 1)
                where = self._predicate(inner + sources, depth + 1)
                return f"{draw.pick(('', 'NOT '))}EXISTS (SELECT 1 FROM {text} WHERE {where})"
            case 9:
                return f"NOT ({self._predicate(sources, depth + 1)})"
            case 10:
                first = self._predicate(sources, depth + 1)
                second = self._predicate(sources, depth + 1)
                return f"({first} {draw.pick(('AND', 'OR'))} {second})"
            case 11:
                return f"{left} BETWEEN {self._literal()} AND {self._literal()}"
            case 12:
                # Of more than one column it is an error; now and then, since it must stay one.
                tables = self._case.tables
                single = [table for table in tables if len(list(table.visible())) == 1]
                if not single and not draw.chance(8):
                    return f"{left} IN ({self._select(1, sources, depth + 1)[0]})"
                table = draw.pick(tables if draw.chance(8) or not single else single)
                return f"{left} IN {draw.pick(('', 'main.'))}{self._name(table.name)}"
            case _:
                pair = f"({self._column(sources)}, {self._column(sources)})"
                return f"{pair} = ({self._literal()}, {self._column(sources)})"

    # Selects ----------------------------------------------------------------------------------

    def _select(
        self, width: int, outer: list[_Source], depth: int, *, star: bool = False
    ) -> tuple[str, list[str]]:
        """Write a SELECT; give its text, and the names of its columns where they are settled."""
        draw = self._draw
        sources, text = self._from(depth)
        size = self._size
        seen = sources + (outer if draw.chance(2) else [])
        where = f" WHERE {self._predicate(seen, depth + 1)}" if draw.chance(3) else ""
        if star and draw.chance(3):
            prefix = draw.pick(sources).prefix.removeprefix("main.")
            stars = draw.pick(("*", f"{prefix}.*", f"*, {self._column(sources)} AS last"))
            self._size = size
            return f"SELECT {self._space()}{stars} FROM {text}{where}", []
        names = [self._new() for _ in range(width)]
        if depth == 0 and draw.chance(30):
            names[0] = draw.pick(_ROW_NUMBERS)
            where += f"{' AND' if where else ' WHERE'} {names[0]} IS NOT {self._literal()}"
        how = draw.below(8)
        tail = ""
        if how == 0:
            keys = [self._column(sources) for _ in range(width - 1)]
            items = [*keys, self._aggregate(sources)]
            tail = f" GROUP BY {', '.join(keys)}" if keys else ""
            if draw.chance(3):
                tail += (
                    f" HAVING {self._aggregate(sources)} {draw.pick(_COMPARED)} {self._literal()}"
                )
        elif how == 1:
            items = [self._expression(seen, depth + 1) for _ in range(width - 1)]
            items.append(self._window(sources))
            tail = " WINDOW w AS (PARTITION BY " + self._column(sources) + ")"
        else:
            items = [self._expression(seen, depth + 1) for _ in range(width)]
        if depth == 0 and draw.chance(3):
            # Without an alias the text of the expression is the name, where it names no table.
            told = " ".join(items).lower()
            self._labelled &= not any(word in told for word in _UNSETTLED)
            listed = ", ".join(items)
        else:
            listed = ", ".join(f"{item} AS {name}" for item, name in zip(items, names, strict=True))
        distinct = draw.pick(("", "", "DISTINCT ", "ALL "))
        self._size = size
        return f"SELECT {self._space()}{distinct}{listed} FROM {text}{where}{tail}", names

    def _aggregate(self, sources: list[_Source]) -> str:
        column = self._column(sources)
        return self._draw.pick(
            (
                "count(*)",
                f"count({column})",
                f"count(DISTINCT {column})",
                f"min({column})",
                f"max({column})",
                f"sum({self._column(sources, ('int', 'bool'))})",
                f"CAST(avg({column}) AS TEXT)",
                f"count(*) FILTER (WHERE {column} IS NULL)",
            )
        )

    def _window(self, sources: list[_Source]) -> str:
        # The default frame takes peers together, so their order does not tell.
        column, other = self._column(sources), self._column(sources)
        return self._draw.pick(
            (
                f"rank() OVER (ORDER BY {column})",
                f"count(*) OVER (PARTITION BY {column} ORDER BY {other})",
                f"dense_rank() OVER (PARTITION BY {column} ORDER BY {other} DESC)",
                f"max({column}) OVER w",
                "count(*) OVER w",
                f"sum({self._column(sources, ('int', 'bool'))}) OVER (ORDER BY {column})",
            )
        )
