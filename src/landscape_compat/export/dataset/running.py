"""Running tasks: in this process, in others of this machine, or wherever an executor runs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from concurrent.futures import as_completed as completed
from typing import Final

from landscape_compat.engine.processes import worker_pool
from landscape_compat.errors import LandscapeCompatError, printable
from landscape_compat.export.dataset.task import Partition, Task, write_partition

__all__ = ["run_tasks"]

# How many pools of processes are tried, where one after another loses a process.
_POOLS: Final = 4


def run_tasks(tasks: Sequence[Task], executor: Executor | None, jobs: int) -> Iterator[Partition]:
    """Do tasks, and give what each wrote, as they end.

    When this ends, in whichever way, none of them is under way any more.

    Args:
        tasks: The tasks.
        executor: What runs them; processes of this machine if not given.
        jobs: How many of those at a time; with one, this process does it all.

    Raises:
        LandscapeCompatError: What `write_partition` raises; or processes were ended from outside.
    """
    if executor is not None:
        futures: dict[Future[Partition], Task] = {}
        try:
            _submit(executor, tasks, futures)
            for future in completed(futures):
                yield future.result()
        except BrokenExecutor as error:
            raise _ended(tasks) from error
        finally:
            wait([future for future in futures if not future.cancel()])
    elif jobs > 1 and len(tasks) > 1:
        yield from _in_processes(tasks, jobs)
    else:
        yield from map(write_partition, tasks)


def _in_processes(tasks: Sequence[Task], jobs: int) -> Iterator[Partition]:
    """Do tasks in processes; those that one was doing when it was killed are done again."""
    left, cause = list(tasks), None
    for _ in range(_POOLS):
        with worker_pool(min(jobs, len(left))) as pool:
            again: list[Task] = []
            futures = _submit(pool, left, {})
            for future in completed(futures):
                try:
                    yield future.result()
                except BrokenExecutor as error:
                    again.append(futures[future])
                    cause = error
        left = again
        if not left:
            return
    raise _ended(left) from cause


def _submit(
    executor: Executor, tasks: Sequence[Task], futures: dict[Future[Partition], Task]
) -> dict[Future[Partition], Task]:
    for task in tasks:
        try:
            futures[executor.submit(write_partition, task)] = task
        except BrokenExecutor as error:
            # One was killed already: this task fares as those that were submitted.
            failed: Future[Partition] = Future()
            failed.set_exception(error)
            futures[failed] = task
    return futures


def _ended(tasks: Sequence[Task]) -> LandscapeCompatError:
    runs = ", ".join(printable(task.run or "what belongs to no run") for task in tasks[:5])
    more = f" and {len(tasks) - 5} more" if len(tasks) > 5 else ""
    return LandscapeCompatError(
        "Processes that exported these were ended from outside again and again, perhaps for want "
        f"of memory, so the dataset is not complete: {runs}{more}.",
        remedy="Export again, fewer at a time (--jobs), or on machines with more memory; a script "
        'of your own begins its work under `if __name__ == "__main__":`.',
    )
