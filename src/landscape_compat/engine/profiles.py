"""Profiles: what a program declares, with the rules for its older databases, found by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from sqlalchemy import MetaData

from landscape_compat.errors import RuleError
from landscape_compat.projection.rules import Rule, RuleSet

if TYPE_CHECKING:
    from landscape_compat.schema.known import KnownShape

__all__ = ["GROUP", "Profile", "load_profile", "profile_names"]

# The group of entry points under which a distribution names its profiles.
GROUP = "landscape_compat.profiles"


@dataclass(frozen=True, slots=True)
class Profile:
    """What a program declares, and how databases of its other versions are read.

    Args:
        metadata: The tables that it declares.
        rules: Where values that are not stored come from.
        known: Gives the known shapes of its schema, oldest first.

    Raises:
        RuleError: The rules contradict themselves, or one is for a column that is not declared.
    """

    metadata: MetaData
    rules: RuleSet | Iterable[Rule] = ()
    known: Callable[[], Sequence[KnownShape]] | None = None

    def __post_init__(self) -> None:
        rules = self.rules if isinstance(self.rules, RuleSet) else RuleSet(self.rules)
        object.__setattr__(self, "rules", rules)
        declared = {
            f"{table.name}.{column.name}"
            for table in self.metadata.tables.values()
            for column in table.columns
        }
        # A rule may be for readers of another version, too.
        shapes = [known.shape for known in self.known()] if self.known else []
        for rule in rules:
            known = any(shape.has(rule.target) for shape in shapes)
            if rule.target not in declared and not known:
                raise RuleError(
                    "The rule is for a column that no version of the profile's schema declares.",
                    table=rule.table,
                    column=rule.column,
                    remedy="Check the spelling, or take the rule out.",
                )


def profile_names() -> tuple[str, ...]:
    """Name the profiles that the installed distributions bring, in order."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load_profile(name: str) -> Profile:
    """Load a profile that a distribution brings.

    Args:
        name: The name of its entry point in the group `landscape_compat.profiles`, which leads to
            a `Profile`, or to a function without arguments that makes one.

    Raises:
        RuleError: There is none of that name, or several, or it is no profile.
    """
    found = tuple(entry_points(group=GROUP, name=name))
    if len({point.value for point in found}) != 1:
        names = ", ".join(profile_names()) or "none"
        raise RuleError(
            f"{'Several distributions bring' if found else 'No installed distribution brings'} a "
            f"profile {name!r}.",
            remedy=f"Those that there are: {names}.",
        )
    loaded = found[0].load()
    profile = loaded() if callable(loaded) else loaded
    if not isinstance(profile, Profile):
        raise RuleError(
            f"The profile {name!r} ({found[0].value}) is a {type(profile).__name__}, no Profile.",
            remedy="Let the entry point lead to a Profile, or to a function that makes one.",
        )
    return profile
