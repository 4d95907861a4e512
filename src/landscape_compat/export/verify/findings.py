"""What the verification of a bag found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from landscape_compat.errors import printable

__all__ = ["Finding", "Verification", "find_all"]

# What is wrong throughout is told by its first places, and by how many there are.
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Args:
        where: The file within the bag, and the place in it if that is known.
        what: What is wrong there.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return printable(f"{self.where}: {self.what}")


@dataclass(slots=True)
class Verification:
    """What was found; nothing, if all is as it should be.

    Args:
        path: The bag, the migrated database, or the dataset, without what may be a password.
        findings: What is wrong.
        checked: What was looked at, as sentences.
        unchecked: What could not be looked at, and why.
    """

    path: Path | URL | str
    findings: list[Finding] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.findings

    def find(self, where: str, what: str) -> None:
        """Add something that is wrong."""
        self.findings.append(Finding(where, what))

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        return {
            "path": printable(self.path),
            "sound": self.is_sound,
            "findings": [
                {"where": printable(f.where), "what": printable(f.what)} for f in self.findings
            ],
            "checked": [printable(text) for text in self.checked],
            "unchecked": [printable(text) for text in self.unchecked],
        }


def find_all(found: Verification, file: str, wrong: Iterable[tuple[str, str]]) -> int:
    """Add what is wrong in a file: the first of it by its places, and how much more there is.

    Args:
        found: Where to add it.
        file: The file's name.
        wrong: Pairs of a place in it, "" if there is none to name, and what is wrong there.

    Returns:
        How much is wrong.
    """
    count = 0
    for at, what in wrong:
        count += 1
        if count <= _MOST_TOLD:
            found.find(f"{file} {at}".rstrip(), what)
    if count > _MOST_TOLD:
        found.find(file, f"has {count - _MOST_TOLD} more findings of this kind")
    return count
