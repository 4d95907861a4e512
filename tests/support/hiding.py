"""A folder into which nobody may look, this process included."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["hidden"]

_NOBODY = 65534


@contextmanager
def hidden(folder: Path) -> Iterator[None]:
    """Let nobody look into a folder; root, who may always, is somebody else meanwhile.

    Args:
        folder: One of this user's own.
    """
    user = os.geteuid()
    folder.chmod(0)
    try:
        if user == 0:
            os.seteuid(_NOBODY)
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o700)
