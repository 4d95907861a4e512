"""Rewriting: putting the prelude in front of a statement that reads degraded tables."""

from __future__ import annotations

from typing import NamedTuple

from landscape_compat.errors import UnreadableError, WriteRefusedError
from landscape_compat.projection.plan import Plan
from landscape_compat.projection.prelude import Projection
from landscape_compat.projection.scan import (
    Effect,
    QualifiedName,
    StatementScan,
    scan_statement,
)
from landscape_compat.schema.shape import fold_name

__all__ = ["Rewritten", "rewrite_statement"]

_REMEDIES = (
    "Export the database as it is, migrate a copy of it, or start a fresh one; this one stays "
    "as it was written."
)


class Rewritten(NamedTuple):
    """A statement as it is sent.

    Args:
        text: The text to send; the same object as was given where nothing is to be done.
        tables: The declared names of the degraded tables that it reads.
        effect: What running it does.
    """

    text: str
    tables: tuple[str, ...]
    effect: Effect


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
    if scan.effect is Effect.WRITES:
        raise WriteRefusedError(
            f"{scan.verb} was refused before it reached the database, which is open read-only "
            "because its schema is not the one this program was written for.",
            remedy=_REMEDIES,
        )
    if scan.multiple:
        raise UnreadableError(
            "Several statements in one text cannot be projected onto an older schema.",
            remedy="Execute them one by one.",
        )
    needed = {name: plan.projections[name] for name in _mentioned(scan, plan)}
    if as_stored or not needed or scan.effect in (Effect.CONTROL, Effect.PRAGMA, Effect.EMPTY):
        return Rewritten(text, (), scan.effect)
    if scan.effect is Effect.OTHER:
        raise UnreadableError(
            f"A statement that starts with {scan.verb or text[:20]!r} cannot be projected onto "
            "an older schema.",
            table=next(iter(needed.values())).name,
            remedy="Read the table by a SELECT.",
        )
    used = tuple(p.name for name, p in needed.items() if name in scan.sources)
    return Rewritten(_merge(text, scan, plan, needed), used, scan.effect)


def _mentioned(scan: StatementScan, plan: Plan) -> list[str]:
    # In the order of declaration, so that the same statement always gives the same bytes.
    names = scan.names
    if plan.syntax.folds_quoted:
        return [name for name in plan.projections if name in names]
    return [name for name, p in plan.projections.items() if p.name in names]


def _merge(text: str, scan: StatementScan, plan: Plan, needed: dict[str, Projection]) -> str:
    edits: list[tuple[int, int, str]] = []
    ctes: list[str] = []
    for name, projection in needed.items():
        everything = scan.has_star or scan.has_natural or name in scan.operands
        if name not in scan.own_ctes:
            ctes.append(projection.render(projection.name, scan.names, everything=everything))
        qualified = [q for q in scan.qualified if fold_name(q.table) == name and _is_ours(q, plan)]
        taken = name in scan.own_ctes or name in scan.inner_ctes
        if taken and any(q.role != "column" for q in qualified):
            # A name of its own: the bare one may mean a CTE of the statement's at this place.
            _refuse_enclosed(qualified, projection)
            cte = _free_name(projection.name, scan)
            ctes.append(projection.render(cte, scan.names, everything=everything))
        else:
            cte = ""
        edits += [_requalify(q, text, projection, cte) for q in qualified]
        edits += [
            (hint.start, hint.end, "") for hint in scan.index_hints if fold_name(hint.table) == name
        ]
    prelude = ", ".join(ctes)
    if prelude and scan.with_end is not None:
        edits.append((scan.with_end, scan.with_end, f" {prelude},"))
    elif prelude:
        edits.append((scan.insert_at, scan.insert_at, f"WITH {prelude} "))
    pieces, position = [], 0
    for start, end, replacement in sorted(edits):
        pieces += [text[position:start], replacement]
        position = end
    return "".join([*pieces, text[position:]])


def _is_ours(qualified: QualifiedName, plan: Plan) -> bool:
    return fold_name(qualified.schema) == fold_name(plan.schema)


def _refuse_enclosed(qualified: list[QualifiedName], projection: Projection) -> None:
    # SQLite forgets the alias in `(name AS alias)`, and so would take it for another's.
    if any(q.role == "source" and q.enclosed for q in qualified):
        raise UnreadableError(
            "The statement names the table with its schema in parentheses, and something else "
            "by its bare name.",
            table=projection.name,
            remedy="Take the parentheses away, or give it an alias.",
        )


def _free_name(table: str, scan: StatementScan) -> str:
    name = f"landscape_compat_{table}"
    while fold_name(name) in scan.names:
        name += "_"
    return name


def _requalify(
    qualified: QualifiedName, text: str, projection: Projection, cte: str
) -> tuple[int, int, str]:
    spelled = text[qualified.table_start : qualified.end]
    if qualified.role == "column" or not cte:
        return qualified.start, qualified.end, spelled
    name = projection.dialect.identifier_preparer.quote(cte)
    if qualified.role == "source" and not qualified.aliased:
        name += f" AS {spelled}"
    return qualified.start, qualified.end, name
