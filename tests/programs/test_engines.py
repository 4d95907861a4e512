"""Engines of all makes: with other listeners and plugins, several, forked, of any pool."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, create_engine, event, pool, select
from sqlalchemy.engine import CreateEnginePlugin
from sqlalchemy.exc import DBAPIError

from landscape_compat import WriteRefusedError, attach

from .conftest import Older
from .forking import METADATA, TOKENS, read

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")
ANSWER = [(1, None), (2, None), (3, None)]


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_other_listeners_in_either_order(engine: Engine, first: str) -> None:
    """A tracer sees the program's statements; one that adds a comment still does."""
    seen: list[str] = []
    sent: list[str] = []

    def comment(*arguments: Any) -> tuple[str, Any]:
        seen.append(arguments[2])
        return f"/* traced, tokens */ {arguments[2]} -- end", arguments[3]

    if first == "ours":
        attach(engine, METADATA)
    event.listen(engine, "before_cursor_execute", comment, retval=True)
    attach(engine, METADATA)
    assert read(engine) == ANSWER
    assert any("FROM tokens" in text for text in seen)
    assert not any("WITH" in text for text in seen)
    event.listen(engine, "do_execute", lambda *got: sent.append(got[1]))
    assert read(engine) == ANSWER
    ((whole),) = [text for text in sent if "FROM tokens" in text]
    assert whole.startswith("/* traced, tokens */ WITH")
    assert whole.endswith(" -- end")
    with engine.connect() as connection, pytest.raises(WriteRefusedError):
        connection.execute(TOKENS.delete())


class Tracing(CreateEnginePlugin):
    """A plugin that wraps what an engine of its URL does."""

    made = 0

    def update_url(self, url: sa.URL) -> sa.URL:
        """Take nothing out of the URL."""
        return url

    def engine_created(self, engine: Engine) -> None:
        """Listen to the engine."""
        Tracing.made += 1
        event.listen(engine, "before_cursor_execute", lambda *args: None)


def test_a_plugin_of_create_engine(older: Older) -> None:
    """It is asked when the engine is made, before the shim is on."""
    sa.dialects.plugins.register("tracing", __name__, "Tracing")
    engine = create_engine(older.url, plugins=["tracing"])
    with attach(engine, METADATA):
        assert read(engine) == ANSWER
    assert Tracing.made
    engine.dispose()


def test_children_by_execution_options(engine: Engine) -> None:
    """Made before or after attaching, they share the pool, and the shim with it."""
    before = engine.execution_options(name="before")
    with attach(engine, METADATA):
        after = engine.execution_options(name="after")
        assert read(before) == read(after) == read(engine) == ANSWER
    with pytest.raises(DBAPIError):
        read(after)


def test_several_engines_on_one_database(older: Older) -> None:
    """One with the shim, one with other declarations, one without any."""
    with_shim, other, plain = (create_engine(older.url) for _ in range(3))
    metadata = sa.MetaData()
    wider = sa.Table("tokens", metadata, sa.Column("token_id", sa.Integer), sa.Column("x", sa.Text))
    with attach(with_shim, METADATA), attach(other, metadata):
        assert read(with_shim) == ANSWER
        with other.connect() as connection:
            assert connection.execute(select(wider.c.x)).all() == [(None,)] * 3
        with pytest.raises(DBAPIError):
            read(other)
        with pytest.raises(DBAPIError):
            read(plain)
    for engine in (with_shim, other, plain):
        engine.dispose()


@pytest.mark.parametrize(
    "kind",
    [
        pool.QueuePool,
        pool.NullPool,
        pool.StaticPool,
        pool.SingletonThreadPool,
        pool.AssertionPool,
    ],
)
def test_every_kind_of_pool(older: Older, kind: Any) -> None:
    """One connection or many, kept or not."""
    engine = create_engine(older.url, poolclass=kind)
    with attach(engine, METADATA):
        for _ in range(3):
            assert read(engine) == ANSWER
        if kind not in (pool.StaticPool, pool.AssertionPool):
            threads = [threading.Thread(target=read, args=(engine,)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert read(engine) == ANSWER
    engine.dispose()


def test_a_fork_reads_as_its_parent_does(older: Older) -> None:
    """The shim comes along with the engine."""
    url = older.url.render_as_string(hide_password=False)
    program = [sys.executable, str(Path(__file__).with_name("forking.py")), url]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    assert [[tuple(row) for row in rows] for rows in json.loads(done.stdout)] == [ANSWER] * 3


def _spawned(url: Any, answers: Any) -> None:
    engine = create_engine(url)
    with attach(engine, METADATA):
        answers.put(read(engine))
    engine.dispose()


def test_a_spawned_process_attaches_for_itself(older: Older) -> None:
    """Nothing of an attachment travels but what is declared."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    try:
        child = context.Process(target=_spawned, args=(older.url, answers))
        child.start()
    except Exception as error:
        pytest.fail(str(error))
    assert answers.get(timeout=120) == ANSWER
    child.join()
    answers.close()
