"""Fixtures that tests of every room share, and how hypothesis behaves everywhere."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from landscape_compat.landscape.history import shape_named
from support.legacy import Written, build_shape
from support.postgres import PostgresDatabase, PostgresServer, running_server

# No deadline: how fast a machine is decides no test. No database of examples: a read-only or
# foreign checkout must behave as any other. The same examples each time, so that a change is judged
# by what it changed; who asks for a number of them, as campaigns do, gets others each time.
settings.register_profile(
    "project",
    deadline=None,
    database=None,
    print_blob=True,
    derandomize="LANDSCAPE_COMPAT_EXAMPLES" not in os.environ,
)
settings.load_profile("project")


def pytest_configure() -> None:
    """Let programs that tests start be interrupted, also where these run in the background."""
    for sent in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(sent) is signal.SIG_IGN:
            usual = signal.default_int_handler if sent == signal.SIGINT else signal.SIG_DFL
            signal.signal(sent, usual)


@pytest.fixture(autouse=True)
def _structlog_as_nobody_set_it_up() -> Iterator[None]:
    """Take back what a test told structlog; capturing events leaves it set up, too."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def legacy(tmp_path: Path) -> Written:
    """Give a database of 2026-01-18, whose tokens lack expand_group_id, in a folder of its own."""
    folder = tmp_path / "record"
    folder.mkdir()
    known = shape_named("2026-01-18/df2fa70fb")
    return build_shape(folder / "audit.db", known.shape, rows=6, runs=6, long_text=False)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Run one PostgreSQL server for all tests of the session that ask for it."""
    with running_server() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """Give a PostgreSQL database of the test's own."""
    name = postgres_server.create_database()
    yield PostgresDatabase(postgres_server, name)
    postgres_server.drop_database(name)
