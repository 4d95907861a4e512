"""Hosts of every era for the tests of this room, and no shim that outlives a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from landscape_compat import uninstall
from support.hosts import Place, places


@pytest.fixture
def leave_no_shim() -> Iterator[None]:
    """Whatever a test installs is gone after it."""
    yield
    uninstall()


@pytest.fixture
def place(tmp_path: Path, leave_no_shim: None) -> Iterator[Place]:
    """Put hosts in place by the names of their eras; the last one put counts."""
    with places(tmp_path) as put:
        yield put
