"""Ending a process, as a kill or a power cut would, at one of its steps on the disk."""

from __future__ import annotations

import gc
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["KILLED", "in_child", "killed_at", "killed_at_every_step"]

KILLED = 9
_STEPS = ("mkdir", "link", "unlink", "fsync", "replace", "rename", "rmdir", "chmod")


def killed_at_every_step(action: Callable[[], object], most: int = 80) -> Iterator[bool]:
    """Run an action again and again, each time killed one step later, until it ends by itself.

    Args:
        action: What to run, in a child process.
        most: How many steps it may have.

    Yields:
        Whether it was killed; the last time it was not.
    """
    for at in range(1, most):
        code = killed_at(at, action)
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
        calls = 0

        def ending(real: Any) -> Any:
            def call(*words: Any, **more: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls == at:
                    os._exit(KILLED)
                return real(*words, **more)

            return call

        for name in _STEPS:
            setattr(os, name, ending(getattr(os, name)))
        action()

    return in_child(killed)


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
