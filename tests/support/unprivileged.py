"""Acting for a while as a user who may do what everybody may, and no more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["unprivileged"]

_NOBODY = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """Where this process is root's, which permissions do not bind, let them bind it."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
