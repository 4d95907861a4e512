"""Processes that work for this one, and end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

__all__ = ["worker_pool"]


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give processes that do tasks, none of which outlives the block, nor the program.

    They are begun afresh, not forked, so that they share no lock and no database with it. Where
    the block ends with an error, what is under way is still done. Where it is interrupted, or its
    results are not wanted any more, they are killed: their work may take hours, and another
    interrupt would leave them waiting for a thread of this process that is gone, and it for them.

    Args:
        workers: How many.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)
    try:
        yield pool
        pool.shutdown()
    except Exception:
        pool.shutdown(cancel_futures=True)
        raise
    finally:
        # Since Python 3.14 its `kill_workers` does this. Of one that was shut down, none are left.
        for process in list((pool._processes or {}).values()):
            process.kill()
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    # What interrupts the program interrupts this process too, and the program tells of it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None
    # A pool's process waits for work for ever, also where nobody is left to give it any.
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)  # pragma: no cover - which saves nothing, test_none_of_them_is_left
