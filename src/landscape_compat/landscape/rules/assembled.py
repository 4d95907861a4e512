"""All rules for ELSPETH's audit database, put together and checked."""

from __future__ import annotations

from functools import cache

from landscape_compat.landscape.metadata import every_table
from landscape_compat.landscape.rules.absences import absence_rules
from landscape_compat.landscape.rules.elsewhere import elsewhere_rules
from landscape_compat.landscape.rules.neutrals import neutral_rules
from landscape_compat.landscape.rules.outcomes import outcome_rules
from landscape_compat.landscape.rules.ownership import ownership_rules
from landscape_compat.landscape.rules.positions import position_rules
from landscape_compat.landscape.rules.repairs import repair_rules
from landscape_compat.landscape.rules.words import word_rules
from landscape_compat.projection.rules import RuleSet

__all__ = ["landscape_rules"]


@cache
def landscape_rules() -> RuleSet:
    """Give the rules for reading any known shape with declarations of any other."""
    tables = every_table()
    return RuleSet(
        (
            *ownership_rules(tables),
            *position_rules(tables),
            *outcome_rules(tables),
            *repair_rules(tables),
            *elsewhere_rules(tables),
            *word_rules(tables),
            *neutral_rules(tables),
            *absence_rules(),
        )
    )
