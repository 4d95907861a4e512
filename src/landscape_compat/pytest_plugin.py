"""Fixtures for programs that are to read databases of their own older versions.

The plugin is loaded in every session where this package is installed, so it imports nothing of it,
and nothing of SQLAlchemy, before a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from landscape_compat.testing import OlderDatabase

__all__ = ["assert_equivalent", "assert_source_untouched", "older_database"]


@pytest.fixture
def older_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Make databases in an older shape of one's metadata: `older_database(metadata, without=...)`.

    See `landscape_compat.testing.OlderDatabase` for what it takes and gives.
    """
    from landscape_compat.testing import OlderDatabase

    made: list[OlderDatabase] = []

    def make(metadata: Any, **details: Any) -> OlderDatabase:
        made.append(OlderDatabase(tmp_path_factory.mktemp("older"), metadata, **details))
        return made[-1]

    yield make
    for database in made:
        database.close()


@pytest.fixture
def assert_source_untouched() -> Callable[[str | Path], AbstractContextManager[None]]:
    """Check that a block leaves a database file as it was: `with assert_source_untouched(path):`.

    Its bytes, those of its `-wal` and `-journal`, its time stamps, and the names in its folder.
    """
    from landscape_compat.testing import source_untouched

    return source_untouched


@pytest.fixture
def assert_equivalent() -> Callable[..., None]:
    """Check that a query answers as on a migrated copy: `assert_equivalent(query, older)`."""
    from landscape_compat.testing import require_equivalent

    return require_equivalent
