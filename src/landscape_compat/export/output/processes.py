"""Processes that write for this one."""

from __future__ import annotations

import signal

__all__ = ["begin_worker"]


def begin_worker() -> None:
    """Begin a process that writes for another."""
    # What interrupts the command interrupts this process too, and the command tells of it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
