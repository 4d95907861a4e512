"""Tasks that processes share out give the same dataset, also where some of them are killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from landscape_compat.errors import LandscapeCompatError
from landscape_compat.export.dataset.dataset import export_dataset
from support.datasets import content_of, is_complete, statement_of
from support.legacy import Written
from support.untouched import untouched

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@contextmanager
def killing(target: Path, times: int) -> Iterator[list[int]]:
    """Kill a process of each of the next pools, when it has begun to write."""
    killed: list[int] = []
    done = threading.Event()

    def kill() -> None:
        while len(killed) < times and not done.is_set():
            children = [c.pid for c in multiprocessing.active_children() if c.pid is not None]
            fresh = not set(children) & set(killed)
            # Python 3.11.7 waits forever where one dies while another is started; and what is
            # being written lies in a folder until it is whole.
            if len(children) == 2 and fresh and list(target.glob("_landscape/partial-*/*.parquet")):
                killed.append(children[0])
                os.kill(children[0], signal.SIGKILL)
                while children[0] in {c.pid for c in multiprocessing.active_children()}:
                    time.sleep(0.001)
            time.sleep(0.001)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        done.set()
        killer.join()


def test_what_a_killed_process_was_doing_is_done_again(legacy: Written, tmp_path: Path) -> None:
    """The dataset is whole in the end, and nothing of what was half-written is in it."""
    export_dataset(legacy.path, tmp_path / "alone")
    target = tmp_path / "ds"
    with untouched(legacy.path), killing(target, 1) as killed:
        export_dataset(legacy.path, target, jobs=2)
    assert len(killed) == 1
    assert content_of(target) == content_of(tmp_path / "alone")
    assert statement_of(target)["subject"] == statement_of(tmp_path / "alone")["subject"]
    assert multiprocessing.active_children() == []


def test_it_is_not_tried_for_ever(
    legacy: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who loses a process again and again says so, and nothing says that all was written."""
    monkeypatch.setattr("landscape_compat.export.dataset.running._POOLS", 1)
    with (
        untouched(legacy.path),
        killing(tmp_path / "ds", 1) as killed,
        pytest.raises(LandscapeCompatError, match="ended from outside again and again"),
    ):
        export_dataset(legacy.path, tmp_path / "ds", jobs=2)
    assert killed
    assert content_of(tmp_path / "ds") == {}
    assert not is_complete(tmp_path / "ds")


def test_an_executor_that_lost_its_process_is_told_as_one(legacy: Written, tmp_path: Path) -> None:
    """As it takes no task any more; nothing says that all was written."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        assert isinstance(pool.submit(os._exit, 1).exception(), BrokenExecutor)
        with (
            untouched(legacy.path),
            pytest.raises(LandscapeCompatError, match="ended from outside") as caught,
        ):
            export_dataset(legacy.path, tmp_path / "ds", executor=pool)
    assert legacy.run_ids[0] in str(caught.value)
    assert content_of(tmp_path / "ds") == {}
    assert not is_complete(tmp_path / "ds")
