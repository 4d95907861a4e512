"""The least that a reader accepts, where the record has nothing it would accept: a last resort.

Also the words that a reader does not know yet, or no longer, shown as the nearest that it does
know. Meaning is lost there, so these count as neutral too. None of it happens between a reader
and a database of one age, nor for readers that take any word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import and_, case, func, literal
from sqlalchemy.sql.expression import TableClause

from landscape_compat.landscape.metadata import EveryTable
from landscape_compat.landscape.rules.eras import (
    BATCH_RETRIES,
    CHECKED_WORDS,
    INGEST_SEQUENCE,
    MEMBER_RUNS,
    NO_BARRIER_BLOBS,
    OPERATION_HASHES,
    OUTCOMES,
    PREFLIGHT,
    SECRETS,
    SINGLE_AXIS,
    TWO_AXES,
)
from landscape_compat.landscape.rules.outcomes import routed_on_error
from landscape_compat.projection.rules import Rule, neutral

__all__ = ["neutral_rules"]

_FINISHED = {"completed_with_failures": "completed", "empty": "completed"}


def neutral_rules(t: EveryTable) -> Iterator[Rule]:
    """Give the values without which a reader would refuse the record altogether.

    Args:
        t: The tables.
    """
    yield from _never_recorded(t)
    yield from _run_status(t)
    yield from _lacked_words(t)


def _never_recorded(t: EveryTable) -> Iterator[Rule]:
    state, outcome, operation = t.node_states.c, t.token_outcomes.c, t.operations.c
    yield neutral(
        "nodes.determinism",
        literal("non_deterministic"),
        declared=CHECKED_WORDS,
        why="A plugin's determinism was not stored before 2026-01-14, and readers raise on NULL. "
        "The weakest word claims nothing; the default of those days would claim that the run "
        "can be reproduced.",
        evidence="ef071ff05",
    )
    yield neutral(
        "node_states.output_hash",
        case(
            (and_(state.output_hash.is_(None), state.status == "completed"), ""),
            else_=state.output_hash,
        ),
        replaces=True,
        not_stored=CHECKED_WORDS,
        declared=CHECKED_WORDS,
        why="Until 2026-01-16 sinks and aggregations completed without a hash of their output, "
        "and later readers raise on a completed state that has none. What was hashed since is "
        "not stored, so the hash cannot be made up for.",
        evidence="f17b02821, 44158b9d6",
    )
    yield neutral(
        "token_outcomes.error_hash",
        case(
            (and_(outcome.error_hash.is_(None), routed_on_error(t)), ""),
            else_=outcome.error_hash,
        ),
        replaces=True,
        stored=SINGLE_AXIS,
        not_stored=TWO_AXES,
        declared=TWO_AXES,
        why="Readers require an error's hash beside `on_error_routed`. None was stored before "
        "2026-05-03, and the order of keys that went into it is not recorded.",
        evidence="a2fb248c6, 3ada705b4",
    )
    yield neutral(
        "operations.error_message",
        case(
            (
                and_(
                    operation.status == "failed", func.coalesce(operation.error_message, "") == ""
                ),
                "(none recorded)",
            ),
            else_=operation.error_message,
        ),
        replaces=True,
        not_stored=MEMBER_RUNS,
        declared=MEMBER_RUNS,
        why="An exception without a message left an empty one, on which readers since "
        "2026-04-22 raise.",
        evidence="41b88b109",
    )


def _run_status(t: EveryTable) -> Iterator[Rule]:
    coarse = (
        "`completed_with_failures` and `empty` were `completed` before 2026-05-02, when that "
        "meant only that processing had ended."
    )
    for declared, undeclared, words, why in (
        (
            frozenset({CHECKED_WORDS}),
            OPERATION_HASHES,
            {"interrupted": "failed", **_FINISHED},
            f"{coarse} `interrupted` (2026-02-13) has no older word; `failed` is the nearest.",
        ),
        (frozenset({OPERATION_HASHES}), BATCH_RETRIES, _FINISHED, coarse),
        (
            frozenset({BATCH_RETRIES}),
            TWO_AXES,
            _FINISHED,
            f"{coarse} Readers of 05-02 to 05-05 know these words and declare the same columns "
            "as those of the week before, which raise on them: they see `completed` too.",
        ),
    ):
        yield _nearest_word(
            t.runs,
            "status",
            words,
            stored=undeclared,
            declared=declared,
            not_declared=undeclared,
            why=why,
            evidence="cc8955896, 6286367f2",
        )


def _lacked_words(t: EveryTable) -> Iterator[Rule]:
    yield _nearest_word(
        t.node_states,
        "status",
        {"pending": "open"},
        stored=OUTCOMES,
        declared=CHECKED_WORDS,
        not_declared=OUTCOMES,
        why="A state that waits for its batch was `open` until 2026-01-23.",
        evidence="0f21ecb81",
    )
    for table, name in ((t.edges, "default_mode"), (t.routing_events, "mode")):
        yield _nearest_word(
            table,
            name,
            {"divert": "move"},
            stored=SECRETS,
            declared=CHECKED_WORDS,
            not_declared=SECRETS,
            why="`divert` (2026-02-06) moves a row as `move` does, because of a failure. The "
            "last readers without it, of 02-03 to 02-06, are not told apart, and raise on it.",
            evidence="7126d457e",
        )
    yield _nearest_word(
        t.calls,
        "call_type",
        {"vector": "sql", "http_redirect": "http"},
        stored=SECRETS,
        declared=CHECKED_WORDS,
        not_declared=SECRETS,
        why="A vector search was recorded as `sql` until 2026-03-22; a redirect, not recorded "
        "as a call of its own until 2026-02-07, is a request of its kind.",
        evidence="ef7b62edc, 5133ab2e2",
    )
    yield _nearest_word(
        t.calls,
        "call_type",
        {"vector": "sql"},
        stored=PREFLIGHT,
        declared={CHECKED_WORDS, SECRETS},
        not_declared={PREFLIGHT, "checkpoints.coalesce_state_json"},
        why="A vector search was recorded as `sql` until 2026-03-22. The last readers without "
        "the word, of 03-04 to 03-22, are not told apart, and raise on it.",
        evidence="ef7b62edc",
    )
    yield _nearest_word(
        t.nodes,
        "node_type",
        {"queue": "transform"},
        stored=INGEST_SEQUENCE,
        declared=CHECKED_WORDS,
        not_declared=INGEST_SEQUENCE,
        why="A queue between sources (2026-06-04) has no older word; it passes rows on unchanged.",
        evidence="f13f418f8",
    )
    yield _nearest_word(
        t.scheduler_events,
        "event_type",
        {"restore_blocked": "mark_blocked"},
        stored=NO_BARRIER_BLOBS,
        declared="checkpoints.barrier_scalars_json",
        not_declared=NO_BARRIER_BLOBS,
        why="An item restored as blocked when a run was resumed: the word went on 2026-06-11, "
        "with what it restored from. Both words enter `blocked`; a restored item still shows "
        "by having no status before.",
        evidence="3c535e12f, 46051e47d",
    )


def _nearest_word(table: TableClause, name: str, words: Mapping[str, str], **details: Any) -> Rule:
    stored = table.c[name]
    return neutral(
        f"{table.name}.{name}",
        case(*((stored == word, nearest) for word, nearest in words.items()), else_=stored),
        replaces=True,
        **details,
    )
