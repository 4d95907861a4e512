"""Values that another version keeps in another place, or that its own migration wrote."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, case, false, func, literal, select, true

from landscape_compat.landscape.metadata import EveryTable
from landscape_compat.landscape.rules.repairs import as_json
from landscape_compat.projection.rules import Rule, derived, mapped

__all__ = ["elsewhere_rules"]


def elsewhere_rules(t: EveryTable) -> Iterator[Rule]:
    """Fetch what is recorded under another name or in another table.

    Args:
        t: The tables.
    """
    yield from _contracts(t)
    yield from _effects(t)
    yield mapped(
        "runs.seeded_from_cache",
        false(),
        why="Nothing was replayed from a cache before there was one; the column's own default "
        "says so.",
        evidence="ca9bc05bd",
    )


def _contracts(t: EveryTable) -> Iterator[Rule]:
    yield derived(
        "nodes.output_contract_hash",
        as_json(t.nodes.c.output_contract_json)["version_hash"].as_string(),
        why="The contract carries its own hash. Contracts of before 2026-02-08 carry a shorter "
        "one, shown as it was recorded.",
        evidence="84d296d5b, 1b23bf87c",
    )
    for name in ("schema_contract_hash", "schema_contract_json"):
        yield derived(
            f"runs.{name}",
            _of_only_source(t, name),
            why="The contract moved from the run to its sources. Exact for a run of one source; "
            "NULL for several, since no one of theirs is the run's.",
            evidence="686ec9938",
        )


def _of_only_source(t: EveryTable, name: str) -> ColumnElement[str]:
    sources = t.run_sources
    return (
        select(case((func.count() == 1, func.min(sources.c[name]))))
        .select_from(sources)
        .where(sources.c.run_id == t.runs.c.run_id)
        .correlate(t.runs)
        .scalar_subquery()
    )


def _effects(t: EveryTable) -> Iterator[Rule]:
    for name, value in (
        ("publication_performed", true()),
        ("publication_evidence_kind", literal("legacy_returned")),
    ):
        yield mapped(
            f"artifacts.{name}",
            value,
            why="What the host's own migration wrote for every artifact of before the effect "
            "ledger: a sink returned it, so it was published.",
            evidence="612311b6d, b0befcad6",
        )
    yield derived(
        "sink_effect_members.primary_effect_id",
        _primary_effect(t),
        stored=(
            "sink_effect_members.prepared_disposition",
            "sink_effect_members.role",
            "sink_effect_members.run_id",
        ),
        why="A failsink's member stands for the diverted primary member of the same token. The "
        "one effect that was recorded for the whole batch is not taken: after a recovery it was "
        "that of the last primary only. NULL, which readers refuse, unless there is exactly one.",
        evidence="6e8a6bf5f",
    )


def _primary_effect(t: EveryTable) -> ColumnElement[str | None]:
    member, primary = t.sink_effect_members, t.sink_effect_members.alias("primary_member")
    effect = (
        select(case((func.count() == 1, func.min(primary.c.effect_id))))
        .select_from(primary)
        .where(
            primary.c.run_id == member.c.run_id,
            primary.c.token_id == member.c.token_id,
            primary.c.role == "primary",
            primary.c.prepared_disposition == "diverted",
        )
        .correlate(member)
        .scalar_subquery()
    )
    return case((member.c.role == "failsink", effect))
