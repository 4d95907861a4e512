"""What stands in a database of the host for values that it insists on and nobody recorded."""

from __future__ import annotations

from sqlalchemy import URL, MetaData, create_engine, literal
from sqlalchemy.pool import NullPool

from landscape_compat.engine.attach import attach
from landscape_compat.landscape.rules import landscape_rules
from landscape_compat.projection.rules import Rule, RuleKind, RuleSet, neutral

__all__ = ["rules_for_host"]

_TEXTS = ("VARCHAR", "TEXT", "CHAR")
_WHY = (
    "The record never held a value here, and the host takes a database only if this column is "
    "never NULL: the empty text stands in, which no build has ever recorded."
)
# Where a CHECK leaves only words that builds do record, with the reason why the least of them
# is still told apart. Source: the CHECK on this column since 2026-05-25.
_WORDS = {
    "runs.openrouter_catalog_source": (
        "bundled",
        "The record never held a value here, and the host takes 'live' or 'bundled' only: the "
        "latter claims less, and stands beside an empty openrouter_catalog_sha256, which no "
        "build has ever recorded.",
    )
}


def rules_for_host(url: URL, metadata: MetaData) -> RuleSet:
    """Give the rules by which a database is read to fill one that the host made.

    They are those of any reader, but for columns of text that were never recorded and that the
    host declares to be never NULL.

    Args:
        url: The old database.
        metadata: What the host declares.
    """
    rules = landscape_rules()
    engine = create_engine(url, poolclass=NullPool)
    try:
        plan = attach(engine, metadata, rules=rules, read_only=True).plan()
    finally:
        engine.dispose()
    wanted = {
        (projection.name, column.column.name)
        for projection in plan.projections.values()
        if projection.stored is not None
        for column in projection.columns
        if column.kind == RuleKind.ABSENT
        and not column.column.nullable
        and column.column.type.startswith(_TEXTS)
    }
    if not wanted:
        return rules
    return RuleSet(
        [
            *(rule for rule in rules if (rule.table, rule.column) not in wanted),
            *(_stand_in(f"{table}.{column}") for table, column in sorted(wanted)),
        ]
    )


def _stand_in(path: str) -> Rule:
    word, why = _WORDS.get(path, ("", _WHY))
    return neutral(path, literal(word), why=why)
