"""Words that were renamed: each has exactly one other, so nothing is lost either way."""

from __future__ import annotations

from collections.abc import Iterator

from landscape_compat.landscape.metadata import EveryTable
from landscape_compat.landscape.rules.eras import CHECKED_WORDS, CONTRACTS, OPERATION_HASHES
from landscape_compat.projection.rules import Rule, mapped

__all__ = ["word_rules"]

_SCHEMA_MODES = {"strict": "fixed", "free": "flexible", "dynamic": "observed"}
_SCHEMA_MODE_TABLES = ("nodes", "validation_errors")


def word_rules(t: EveryTable) -> Iterator[Rule]:
    """Map renamed words.

    Args:
        t: The tables.
    """
    yield mapped(
        "nodes.determinism",
        {"nondeterministic": "non_deterministic"},
        not_stored=CHECKED_WORDS,
        declared=CHECKED_WORDS,
        why="The spelling changed on 2026-01-16. Readers that declare `schema_mode`, of a day "
        "later, raise on the old one; earlier readers take any.",
        evidence="4b26edc41, 4b21b5119",
    )
    for table in _SCHEMA_MODE_TABLES:
        yield mapped(
            f"{table}.schema_mode",
            _SCHEMA_MODES,
            not_stored=OPERATION_HASHES,
            declared=OPERATION_HASHES,
            why="The modes were renamed on 2026-02-03, in the midst of shapes that are alike, "
            "so readers of 02-03 to 02-13 see what was recorded. Readers pass the word on.",
            evidence="fe92ec710",
        )
        yield mapped(
            f"{table}.schema_mode",
            {after: before for before, after in _SCHEMA_MODES.items()},
            stored=CONTRACTS,
            not_declared=CONTRACTS,
            why="The modes were renamed on 2026-02-03. Readers that do not declare contracts "
            "are of before; those of 02-03 to 02-13 see what was recorded.",
            evidence="fe92ec710",
        )
