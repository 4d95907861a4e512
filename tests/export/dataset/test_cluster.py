"""A Dask cluster writes the same dataset, also where one of its workers is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.errors import OutputError
from landscape_compat.export.dataset.dataset import export_dataset
from support.datasets import by_arrow, content_of, statement_of, stored_records, texts
from support.legacy import Written
from support.untouched import untouched

distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")
pytestmark = [
    pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning"),
    # What Dask itself leaves behind, or warns of, where a worker is killed.
    pytest.mark.filterwarnings("default::ResourceWarning"),
    pytest.mark.filterwarnings("default::DeprecationWarning"),
    pytest.mark.filterwarnings("default::pytest.PytestUnraisableExceptionWarning"),
]


def test_two_workers_one_of_which_is_killed(legacy: Written, tmp_path: Path) -> None:
    """Dask gives the task to another; an error of a task comes back as what it is."""
    export_dataset(legacy.path, tmp_path / "alone")
    target = tmp_path / "ds"
    killed: list[int] = []
    done = threading.Event()

    def kill(workers: list[int]) -> None:
        while not done.is_set() and not killed:
            # What is being written lies in a folder until it is whole, which may go meanwhile.
            with suppress(FileNotFoundError):
                if any(target.glob("_landscape/partial-*/*.parquet")):
                    os.kill(workers[0], signal.SIGKILL)
                    killed.append(workers[0])
            time.sleep(0.001)

    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",  # another run may have the usual port
            local_directory=str(tmp_path / "dask"),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(2)
        pids: dict[str, Any] = client.run(os.getpid)
        killer = threading.Thread(target=kill, args=(list(pids.values()),))
        killer.start()
        try:
            with untouched(legacy.path):
                export_dataset(legacy.path, target, executor=client.get_executor())
        finally:
            done.set()
            killer.join()
        assert killed
        with pytest.raises(OutputError, match="holds a dataset already"):
            export_dataset(legacy.path, target, executor=client.get_executor())
    assert content_of(target) == content_of(tmp_path / "alone")
    assert statement_of(target)["subject"] == statement_of(tmp_path / "alone")["subject"]
    assert texts(r for _, r in by_arrow(target)) == texts(stored_records(legacy.path))
