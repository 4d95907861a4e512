"""The profile of ELSPETH's Landscape."""

from __future__ import annotations

from landscape_compat.engine.profiles import Profile
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.metadata import metadata_of
from landscape_compat.landscape.rules import landscape_rules

__all__ = ["elspeth"]


def elspeth() -> Profile:
    """Make the profile of the newest known schema of the Landscape."""
    return Profile(metadata_of(known_shapes()[-1]), landscape_rules(), known_shapes)
