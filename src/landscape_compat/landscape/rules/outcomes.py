"""Outcomes of tokens across ADR-019, which parted one word into `completed`, `outcome`, `path`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import ColumnElement, and_, case, null, select

from landscape_compat.landscape.metadata import EveryTable
from landscape_compat.landscape.rules.eras import (
    BATCH_RETRIES,
    MANIFESTS,
    PREFLIGHT,
    SINGLE_AXIS,
    TWO_AXES,
)
from landscape_compat.projection.rules import Rule, mapped, neutral, renamed

__all__ = ["outcome_rules", "routed_on_error"]

# What readers of the single axis declare and do not, and the words they lack: each with the
# word that the host recorded before it had that one.
_LACKED_WORDS: tuple[tuple[frozenset[str], str, Mapping[str, str]], ...] = (
    (
        frozenset(),
        PREFLIGHT,
        {
            "diverted": "failed",
            "dropped_by_filter": "completed",
            "routed_on_error": "routed",
        },
    ),
    (
        frozenset({PREFLIGHT}),
        MANIFESTS,
        {"dropped_by_filter": "completed", "routed_on_error": "routed"},
    ),
    (frozenset({MANIFESTS}), BATCH_RETRIES, {"routed_on_error": "routed"}),
    (frozenset({BATCH_RETRIES}), TWO_AXES, {"routed_on_error": "routed"}),
)

# ADR-019, section "mapping": the single word, and what it became.
_PATHS = {
    "completed": "default_flow",
    "routed": "gate_routed",
    "routed_on_error": "on_error_routed",
    "dropped_by_filter": "filter_dropped",
    "coalesced": "coalesced",
    "failed": "unrouted",
    "quarantined": "quarantined_at_source",
    "forked": "fork_parent",
    "expanded": "expand_parent",
    "consumed_in_batch": "batch_consumed",
    "buffered": "buffered",
}
_OUTCOMES = {
    "success": ("completed", "routed", "dropped_by_filter", "coalesced"),
    "failure": ("routed_on_error", "failed", "quarantined"),
    "transient": ("diverted", "forked", "expanded", "consumed_in_batch"),
}
_WORDS = {path: word for word, path in _PATHS.items()} | {
    "sink_fallback_to_failsink": "diverted",
    "sink_discarded": "diverted",
    "gate_discarded": "dropped_by_filter",
}
_DISCARD = "__discard__"


def outcome_rules(t: EveryTable) -> Iterator[Rule]:
    """Map outcomes between the single axis and the two axes of ADR-019.

    Args:
        t: The tables.
    """
    yield from _to_two_axes(t)
    yield from _to_single_axis(t)
    yield from _within_single_axis(t)


def routed_on_error(t: EveryTable) -> ColumnElement[bool]:
    """Tell whether a `routed` outcome was that of a row sent on after an error.

    One word stood for both until 2026-05-03. The producer's own record of the error, with the
    same destination, tells them apart; no topology is interpreted.

    Args:
        t: The tables.
    """
    outcome, error = t.token_outcomes, t.transform_errors
    return and_(
        outcome.c.outcome == "routed",
        select(error.c.token_id)
        .where(
            error.c.token_id == outcome.c.token_id,
            error.c.run_id == outcome.c.run_id,
            error.c.destination == outcome.c.sink_name,
        )
        .correlate(outcome)
        .exists(),
    )


def _to_two_axes(t: EveryTable) -> Iterator[Rule]:
    word, sink = t.token_outcomes.c.outcome, t.token_outcomes.c.sink_name
    yield renamed(
        "token_outcomes.completed",
        "is_terminal",
        essential=True,
        why="The flag was renamed; its meaning stayed. With NULL, readers see no token at its end.",
        evidence="3ada705b4, ADR-019",
    )
    yield mapped(
        "token_outcomes.path",
        case(
            (routed_on_error(t), "on_error_routed"),
            *((word == before, after) for before, after in _PATHS.items()),
            (and_(word == "diverted", sink == _DISCARD), "sink_discarded"),
            (word == "diverted", "sink_fallback_to_failsink"),
        ),
        stored=SINGLE_AXIS,
        why="The mapping that ADR-019 published. `routed` meant two things until 2026-05-03; "
        "the recorded error tells which. A word that is not in the mapping stays NULL, "
        "which readers refuse.",
        evidence="3ada705b4, a2fb248c6, ADR-019",
    )
    yield mapped(
        "token_outcomes.outcome",
        case(
            (routed_on_error(t), "failure"),
            (and_(word == "diverted", sink == _DISCARD), "failure"),
            *((word.in_(words), outcome) for outcome, words in _OUTCOMES.items()),
            (word == "buffered", null()),
            else_=word,
        ),
        replaces=True,
        stored=SINGLE_AXIS,
        not_stored=TWO_AXES,
        declared=TWO_AXES,
        why="The mapping that ADR-019 published: the column stayed and its words changed. A "
        "word that is not in the mapping stays as it is, which readers refuse.",
        evidence="3ada705b4, a2fb248c6, ADR-019",
    )


def _to_single_axis(t: EveryTable) -> Iterator[Rule]:
    path, outcome = t.token_outcomes.c.path, t.token_outcomes.c.outcome
    yield renamed(
        "token_outcomes.is_terminal",
        "completed",
        essential=True,
        why="The flag was renamed; its meaning stayed. With NULL, readers see no token at its end.",
        evidence="3ada705b4, ADR-019",
    )
    for declared, undeclared, lacked in _LACKED_WORDS:
        words = {way: lacked.get(word, word) for way, word in _WORDS.items()}
        yield neutral(
            "token_outcomes.outcome",
            case(*((path == way, word) for way, word in words.items()), else_=outcome),
            replaces=True,
            stored=TWO_AXES,
            declared={SINGLE_AXIS, *declared},
            not_declared={TWO_AXES, undeclared},
            why="The mapping of ADR-019 read backwards. It is exact but for `gate_discarded`, "
            "shown as `dropped_by_filter` was, and for words that readers of this age lack: "
            f"{_losses(lacked)}.{_doubt(declared)}",
            evidence="3ada705b4, 5e29e115f, a2fb248c6, 56e003a0c, e67bc0f3b, ADR-019",
        )


def _within_single_axis(t: EveryTable) -> Iterator[Rule]:
    outcome = t.token_outcomes.c.outcome
    for declared, undeclared, lacked in _LACKED_WORDS:
        if undeclared == TWO_AXES:
            continue
        yield neutral(
            "token_outcomes.outcome",
            case(*((outcome == word, before) for word, before in lacked.items()), else_=outcome),
            replaces=True,
            stored={SINGLE_AXIS, undeclared},
            not_stored=TWO_AXES,
            declared={SINGLE_AXIS, *declared},
            not_declared={TWO_AXES, undeclared},
            why=f"Words that readers of this age lack: {_losses(lacked)}.{_doubt(declared)}",
            evidence="a2fb248c6, 56e003a0c, e67bc0f3b",
        )


def _losses(lacked: Mapping[str, str]) -> str:
    pairs = ", ".join(f"`{word}` as `{before}`" for word, before in lacked.items())
    return f"{pairs}, as the host recorded it before it had the word"


def _doubt(declared: frozenset[str]) -> str:
    if declared == {BATCH_RETRIES}:
        return (
            " Readers of 2026-05-03 to 05-05 do have `routed_on_error` and declare the same "
            "columns as those of the week before, which raise on it: they see `routed` too."
        )
    if declared == {MANIFESTS} or declared == {PREFLIGHT}:
        return " The first readers with these columns may lack one word more, and raise on it."
    return ""
