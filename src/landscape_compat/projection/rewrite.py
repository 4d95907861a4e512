"""Rewriting: putting the prelude in front of a statement that reads degraded tables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from landscape_compat.errors import UnreadableError
from landscape_compat.projection.joins import filtered_names
from landscape_compat.projection.plan import Plan
from landscape_compat.projection.prelude import Projection
from landscape_compat.projection.refusals import (
    moves_names,
    refuse_any,
    refuse_names,
    refuse_projected,
)
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
    refuse_any(scan)
    scan = _in_home(scan, plan)
    refuse_names(scan, plan)
    uses = _uses(scan, plan)
    moves = moves_names(scan)
    if as_stored or not uses or scan.effect in (Effect.CONTROL, Effect.PRAGMA, Effect.EMPTY):
        return Rewritten(text, (), scan.effect, moves)
    refuse_projected(text, scan, plan, uses[0].projection)
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
    return scan._replace(qualified=qualified)


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
