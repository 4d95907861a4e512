"""Rewriting: putting the prelude in front of a statement that reads degraded tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from landscape_compat.errors import UnreadableError, WriteRefusedError
from landscape_compat.projection.joins import filtered_names
from landscape_compat.projection.plan import Plan
from landscape_compat.projection.prelude import Projection
from landscape_compat.projection.render import quote_name
from landscape_compat.projection.scan import (
    Effect,
    QualifiedName,
    StatementScan,
    scan_statement,
)
from landscape_compat.projection.statement import CteBody
from landscape_compat.schema.shape import fold_name
from landscape_compat.schema.types import is_mariadb

__all__ = ["Rewritten", "rewrite_statement"]

_REMEDIES = (
    "Export the database as it is, migrate a copy of it, or start a fresh one; this one stays "
    "as it was written."
)

# What may make another schema of the search path the first one.
_MOVES = frozenset({"SET", "RESET", "DISCARD"})


class Rewritten(NamedTuple):
    """A statement as it is sent.

    Args:
        text: The text to send; the same object as was given where nothing is to be done.
        tables: The labels of the degraded tables that it reads.
        effect: What running it does.
        moves: Whether names may mean something else for the statements after it.
    """

    text: str
    tables: tuple[str, ...]
    effect: Effect
    moves: bool = False


def rewrite_statement(text: str, plan: Plan, *, as_stored: bool = False) -> Rewritten:
    """Put a prelude in front of a statement for each degraded table that it names.

    The same text and plan always give the same text.

    Args:
        text: The statement, in the driver's form.
        plan: The plan for the database.
        as_stored: Whether the statement reads what is stored, with no projection.

    Raises:
        WriteRefusedError: The statement writes.
        UnreadableError: The statement cannot be answered faithfully from what is stored.
    """
    scan = scan_statement(text, plan.syntax)
    if scan.executes:
        raise UnreadableError(
            "The statement has a comment whose content the server executes (`/*! ... */`).",
            remedy="Write into the statement what the comment holds, or leave it out.",
        )
    if scan.misplaces:
        raise UnreadableError(
            "The statement has a percent sign, or a parameter, where no value stands: in a string, "
            "a comment or a name. What the driver makes of that is not what was read here.",
            remedy="Double each percent sign that is one, and let a parameter stand alone.",
        )
    if scan.effect is Effect.WRITES:
        raise WriteRefusedError(
            f"{scan.verb or 'The statement'} was refused before it reached the database, which is "
            "open read-only because its schema is not the one this program was written for.",
            remedy=_REMEDIES,
        )
    if scan.multiple:
        raise UnreadableError(
            "Several statements in one text cannot be projected onto an older schema.",
            remedy="Execute them one by one.",
        )
    scan = _in_home(scan, plan)
    _refuse_other_names(scan, plan)
    uses = _uses(scan, plan)
    _refuse_routines(scan, plan)
    moves = scan.verb in _MOVES or "set_config" in scan.names
    if as_stored or not uses or scan.effect in (Effect.CONTROL, Effect.PRAGMA, Effect.EMPTY):
        return Rewritten(text, (), scan.effect, moves)
    if scan.effect is Effect.OTHER:
        raise UnreadableError(
            f"A statement that starts with {scan.verb or text[:20]!r} cannot be projected onto "
            "an older schema.",
            table=uses[0].projection.label,
            remedy="Read the table by a SELECT.",
        )
    _refuse_hidden_names(scan, plan, uses)
    _refuse_beside_tables(scan, uses)
    _refuse_forgotten_tests(scan, uses)
    _refuse_row_numbers(scan, plan)
    _refuse_same_names(scan, plan)
    read = tuple(use.projection.label for use in uses if use.name in scan.sources)
    return Rewritten(
        _merge(text, scan, uses, _filtered(text, scan, uses, plan)), read, scan.effect, moves
    )


class _Use(NamedTuple):
    """A projection that a statement may read.

    Args:
        projection: The projection.
        name: The table's name, folded.
        qualified: Where it is named with its schema.
        bare: Whether the bare name means it.
        apart: Whether tables of one name and several schemas are to be told apart.
    """

    projection: Projection
    name: str
    qualified: tuple[QualifiedName, ...]
    bare: bool
    apart: bool


def _uses(scan: StatementScan, plan: Plan) -> list[_Use]:
    # In the order of declaration, so that the same statement always gives the same bytes.
    found = []
    fold = partial(plan.syntax.fold, quoted=True)
    for owner in (plan, *plan.elsewhere.values()):
        for name, projection in owner.projections.items():
            if name not in scan.names:
                continue
            named = [q for q in scan.qualified if q.table == name]
            home = fold(projection.schema or plan.schema)
            own = tuple(q for q in named if q.schema == home)
            if own or owner is plan:
                apart = len({q.schema for q in named if q.role == "source" and not q.aliased}) > 1
                found.append(_Use(projection, name, own, owner is plan, apart))
    return found


def _filtered(
    text: str, scan: StatementScan, uses: list[_Use], plan: Plan
) -> dict[str, frozenset[str]]:
    """Find by which columns rows of a table are looked for, where a join may help with that."""
    if scan.has_outer_join or scan.has_natural:
        return {}
    helped = [
        use
        for use in uses
        if any(
            fold_name(column.column.name) in scan.names and column.joined
            for column in use.projection.columns
        )
    ]
    if not helped:
        return {}
    names = filtered_names(text, plan.syntax)
    own = scan.own_ctes | scan.inner_ctes
    # By another name, it may be a subquery's that has the column from the table.
    tables = {alias for table, alias in scan.aliases if table not in own and plan.knows(table)}
    return {
        use.name: frozenset(
            name
            for alias, name in names
            if alias not in tables or (use.name, alias) in scan.aliases
        )
        for use in helped
    }


def _merge(
    text: str, scan: StatementScan, uses: list[_Use], filtered: Mapping[str, frozenset[str]]
) -> str:
    edits: list[tuple[int, int, str]] = []
    ctes: list[str] = []
    # Within its own body, and before it, a common table expression of PostgreSQL's that has a
    # table's name means the table by it, unless it is recursive.
    within: dict[CteBody, list[str]] = {}
    is_whole = is_mariadb(uses[0].projection.dialect.name) and (
        # Of a test within another, of a merged column that an outer join may leave empty, it looks
        # for each group among the groups themselves, and finds it.
        (scan.has_outer_join and scan.tests_groups)
        # A merged column that a window function takes is read from its results, where a test takes
        # it, too: before there are any.
        or scan.tests_beside_windows
        # It does not know a group's key again that is worked out of merged columns, and leaves that
        # of the group before where one for all is to be NULL.
        or scan.has_rollup
    )
    for use in uses:
        name, projection = use.name, use.projection
        everything = scan.has_star or scan.has_natural or name in scan.operands
        render = partial(
            projection.render,
            named=scan.names,
            everything=everything,
            row_numbers=scan.row_numbers,
            filtered=filtered.get(name, frozenset()),
            has_outer_join=scan.has_outer_join,
            has_null_safe=scan.has_null_safe,
            is_whole=is_whole,
        )
        if use.bare and name not in scan.own_ctes:
            ctes.append(render(projection.name))
        elif use.bare and projection.dialect.name != "sqlite":
            for body in scan.bodies:
                within.setdefault(body, []).append(render(projection.name))
                if body.name == name:
                    break
        taken = not use.bare or use.apart or name in scan.own_ctes or name in scan.inner_ctes
        if taken and any(q.role != "column" for q in use.qualified):
            # A name of its own: the bare one may mean something else at this place.
            _refuse_enclosed(use)
            cte = _free_name(projection.label, scan)
            ctes.append(render(cte))
        else:
            cte = ""
        edits += [_requalify(q, text, use, cte) for q in use.qualified]
        edits += [(hint.start, hint.end, "") for hint in scan.index_hints if hint.table == name]
    prelude = ", ".join(ctes)
    for body, own in within.items():
        at = body.start if body.with_end is None else body.with_end
        text_of = f" {', '.join(own)}," if body.with_end is not None else f"WITH {', '.join(own)} "
        edits.append((at, at, text_of))
    if prelude and scan.with_end is not None:
        edits.append((scan.with_end, scan.with_end, f" {prelude},"))
    elif prelude:
        edits.append((scan.insert_at, scan.insert_at, f"WITH {prelude} "))
    pieces, position = [], 0
    for start, end, replacement in sorted(edits):
        pieces += [text[position:start], replacement]
        position = end
    return "".join([*pieces, text[position:]])


def _in_home(scan: StatementScan, plan: Plan) -> StatementScan:
    """Take the database's name before a table for that of its schema, as DuckDB does."""
    if not plan.stored.catalog or not scan.qualified:
        return scan
    catalog, home = (fold_name(name) for name in (plan.stored.catalog, plan.schema))
    qualified = tuple(q._replace(schema=home) if q.schema == catalog else q for q in scan.qualified)
    shown = {alias for _, alias in scan.aliases}
    for q in qualified:
        if q.role == "column" and q.schema == home and shown & {home, catalog}:
            raise UnreadableError(
                "The statement has a table by the name of the schema or the database, so it cannot "
                "be told what stands before the name of another.",
                remedy="Give that table another alias.",
            )
    return replace(scan, qualified=qualified)


def _refuse_other_names(scan: StatementScan, plan: Plan) -> None:
    # A transaction that reads only may do so, and the prelude would go on hiding tables.
    is_setting = scan.verb in _MOVES or scan.effect is Effect.PRAGMA
    if plan.syntax.name == "duckdb" and (
        scan.verb == "USE" or (is_setting and scan.names & {"schema", "search_path"})
    ):
        raise UnreadableError(
            "The statement would have the declared names mean tables of another schema.",
            remedy="Name the tables of other schemas with their schema.",
        )


def _refuse_routines(scan: StatementScan, plan: Plan) -> None:
    """Refuse to call what reads a degraded table by itself."""
    routines = plan.stored.routines
    for name in sorted(scan.names & routines.keys()):
        reached, ahead = set[str](), {name}
        while ahead:
            reached |= ahead
            words = re.findall(r"\w+", " ".join(routines.get(word, "") for word in ahead))
            ahead = set(map(fold_name, words)) - reached
        for projection in plan.all_projections():
            if fold_name(projection.name) in reached:
                raise UnreadableError(
                    f"The statement calls {name!r}, a macro that reads the table as it is stored.",
                    table=projection.label,
                    remedy="Write what the macro does into the statement.",
                )


def _refuse_hidden_names(scan: StatementScan, plan: Plan, uses: list[_Use]) -> None:
    if scan.hides_names:
        raise UnreadableError(
            "The statement takes a table's name or another statement as a value, or describes what "
            "is stored.",
            table=uses[0].projection.label,
            remedy="Name the table in FROM.",
        )


def _refuse_beside_tables(scan: StatementScan, uses: list[_Use]) -> None:
    if scan.inner_ctes and is_mariadb(uses[0].projection.dialect.name):
        # There, it looks among the stored tables and not among the expressions further out.
        raise UnreadableError(
            "The statement has a WITH within, whose tables MariaDB would read as they are stored.",
            table=uses[0].projection.label,
            remedy="Write all common table expressions at its beginning.",
        )
    # Some of it a server ignores without a word, where a common table expression is named.
    for said in sorted(scan.beside_tables):
        raise UnreadableError(
            f"The statement says {said} of a table, which cannot be said of one that is shown in "
            "another shape than it is stored in.",
            table=uses[0].projection.label,
            remedy="Leave it out, or read what is stored "
            "(execution_options(landscape_compat_stored=True)).",
        )


def _refuse_forgotten_tests(scan: StatementScan, uses: list[_Use]) -> None:
    """Refuse tests that MariaDB answers wrongly of any table, and of each in its own way."""
    if not is_mariadb(uses[0].projection.dialect.name):
        return
    if scan.compares_groups:
        raise UnreadableError(
            "The statement compares a value with what a subquery gives in HAVING, where MariaDB "
            "may take another group's value.",
            table=uses[0].projection.label,
            remedy="Compare further out: "
            "`SELECT ... FROM (SELECT max(x) AS x ... GROUP BY ...) AS g WHERE x IN (...)`.",
        )
    # Worked out for each row, the comparison is forgotten, or what was found for another row.
    if scan.compares_windows:
        raise UnreadableError(
            "The statement compares a value with what a subquery gives by a window function, which "
            "MariaDB does not always do.",
            table=uses[0].projection.label,
            remedy="Let the subquery read from another: "
            "`IN (SELECT x FROM (SELECT ... OVER (...) AS x ...) AS w)`.",
        )


def _refuse_row_numbers(scan: StatementScan, plan: Plan) -> None:
    # Among several tables it means a column or a result, or is an error. A common table expression
    # has no row number, so that the database would take it for that of the other table.
    own = {"", *scan.own_ctes, *scan.inner_ctes}

    def is_found(name: str, table: str) -> bool:
        shapes = (plan.stored.table(table), plan.declared.table(table))
        return any(shape.column(name) is not None for shape in shapes if shape is not None)

    def has_row_number(table: str) -> bool:
        shape = plan.stored.table(table)
        if table in own or (shape is None and plan.declared.table(table) is None):
            return False
        return shape is None or (shape.has_rowid and shape.kind == "table")

    for lone in sorted(scan.lone_row_numbers, key=lambda lone: (lone.name, sorted(lone.tables))):
        name = lone.name
        if any(has_row_number(table) for table in lone.passed) or any(
            is_found(name, table) for table in (*lone.passed, *lone.tables)
        ):
            continue
        if not lone.is_one:
            raise UnreadableError(
                f"The statement names {name!r} where it reads several tables, and the database "
                "would take that for the row number, or its like, of one that is read as stored.",
                column=name,
                remedy="Write the table's name before it, or give a result another name.",
            )
        (table,) = lone.tables
        shape = plan.stored.table(table)
        if shape is not None and not shape.has_rowid and shape.kind == "table":
            raise UnreadableError(
                "The table has no row number to be shown by, and the database would take that of a "
                "table further out.",
                table=table,
                column=name,
                remedy="Write the name of the table that is meant before it.",
            )


def _refuse_same_names(scan: StatementScan, plan: Plan) -> None:
    # SQLite refuses `*` there for two tables, and answers where one of them is none.
    if scan.has_same_names and scan.has_star and plan.syntax.name == "sqlite":
        raise UnreadableError(
            "The statement reads two tables by one name, and every column of them.",
            remedy="Give them aliases that differ, or name the columns.",
        )


def _refuse_enclosed(use: _Use) -> None:
    # SQLite forgets the alias in `(name AS alias)`, and so would take it for another's.
    is_sqlite = use.projection.dialect.name == "sqlite"
    if is_sqlite and any(q.role == "source" and q.enclosed for q in use.qualified):
        raise UnreadableError(
            "The statement names the table with its schema in parentheses, and something else "
            "by its bare name.",
            table=use.projection.label,
            remedy="Take the parentheses away, or give it an alias.",
        )


def _free_name(label: str, scan: StatementScan) -> str:
    name = f"landscape_compat_{label}"
    while fold_name(name) in scan.names or name in scan.names:
        name += "_"
    return name


def _requalify(qualified: QualifiedName, text: str, use: _Use, cte: str) -> tuple[int, int, str]:
    spelled = text[qualified.table_start : qualified.end]
    name = quote_name(use.projection.dialect, cte) if cte else spelled
    if qualified.role == "column":
        return qualified.start, qualified.end, name if use.apart else spelled
    if cte and qualified.role == "source" and not qualified.aliased and not use.apart:
        name += f" AS {spelled}"
    return qualified.start, qualified.end, name
