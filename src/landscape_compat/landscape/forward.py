"""What brings databases forward under the posture `migrate`; who does it is in another room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import URL

__all__ = ["Migrator"]


@dataclass(frozen=True, slots=True)
class Migrator:
    """What brings databases forward.

    Args:
        bring_forward: Does it, if it is still wanted when nobody else is at it.
        finish: Does what a killed process left to be done for a database that was brought
            forward; nothing, as a rule.
    """

    bring_forward: Callable[[str | URL, Callable[[], bool]], None]
    finish: Callable[[str | URL], None]
