"""Ending a process at one of its steps on the disk: as a kill or a power cut would, or Ctrl-C."""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

__all__ = [
    "KILLED",
    "ended_at_every_step",
    "in_child",
    "interrupted_at",
    "killed_at",
]

KILLED = 9
_STEPS = ("mkdir", "link", "unlink", "fsync", "replace", "rename", "rmdir", "chmod")


def ended_at_every_step(
    ended_at: Callable[[int, Callable[[], object]], int],
    action: Callable[[], object],
    most: int = 80,
) -> Iterator[bool]:
    """Run an action again and again, each time ended one step later, until it ends by itself.

    Args:
        ended_at: How it is ended: `killed_at`, or `interrupted_at`.
        action: What to run, in a child process.
        most: How many steps it may have.

    Yields:
        Whether it was ended; the last time it was not.
    """
    for at in range(1, most):
        code = ended_at(at, action)
        assert code in (0, KILLED)
        yield code == KILLED
        if not code:
            return
    raise AssertionError(f"more than {most} steps")


def killed_at(at: int, action: Callable[[], object]) -> int:
    """Run an action in a child that ends at its n-th call that changes a folder or makes it last.

    Args:
        at: Which call, from 1.
        action: What to run.

    Returns:
        `KILLED`, or 0 if the action ended before that.
    """

    def killed() -> None:
        _count_steps(at, before=lambda: os._exit(KILLED))
        action()

    return in_child(killed)


def interrupted_at(at: int, action: Callable[[], object]) -> int:
    """Run an action in a child as `killed_at` does, but interrupted when the n-th call is done.

    Args:
        at: Which call, from 1.
        action: What to run.

    Returns:
        `KILLED`, or 0 if the action ended before that.
    """

    def interrupted() -> None:
        came = False

        def interrupt() -> None:
            nonlocal came
            came = True
            # As a signal that comes during the call: Python tells of it when that has returned.
            signal.raise_signal(signal.SIGINT)

        _count_steps(at, after=interrupt)
        with suppress(KeyboardInterrupt):
            action()
        if came:  # and if it came to an object's end, where Python passes over it
            os._exit(KILLED)

    return in_child(interrupted)


def _count_steps(
    at: int,
    before: Callable[[], object] = lambda: None,
    after: Callable[[], object] = lambda: None,
) -> None:
    calls = 0

    def ending(real: Any) -> Any:
        def call(*words: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            this = calls
            if this == at:
                before()
            try:
                return real(*words, **more)
            finally:
                if this == at:
                    after()

        return call

    for name in _STEPS:
        setattr(os, name, ending(getattr(os, name)))


def in_child(action: Callable[[], object]) -> int:
    """Run an action in a fork of this process; give the child's exit code, 1 for an error.

    Args:
        action: What to run.
    """
    sys.stdout.flush()
    with warnings.catch_warnings():
        # Since Python 3.12 it warns where there are threads; none of them holds a lock here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    # What the parent had collected sooner or later is not the child's to end: a library may wait
    # there for threads that only its parent has.
    gc.freeze()
    try:
        action()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
