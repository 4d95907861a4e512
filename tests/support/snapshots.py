"""Texts that are kept beside the tests, to be looked at when they change.

    UPDATE_SNAPSHOTS=1 python -m pytest tests/cli/test_snapshots.py

writes them anew; the difference is then there to be read before it is committed.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["same_as_kept"]

FOLDER = Path(__file__).resolve().parent.parent / "snapshots"


def same_as_kept(name: str, text: str) -> None:
    """Check that a text is the one that is kept under a name.

    Args:
        name: The file's name.
        text: What it must hold.

    Raises:
        AssertionError: It is another.
    """
    file = FOLDER / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == text
