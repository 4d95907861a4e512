"""Count the instructions of Python that work takes: exactly, however busy the machine is."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["instructions"]


def instructions(work: Callable[[], object]) -> int:
    """Count the bytecode instructions that a piece of work executes.

    Args:
        work: The work; run once before, so that nothing is counted that happens only once.
    """
    work()
    gc.collect()
    gc.disable()
    try:
        return _monitored(work) if sys.version_info >= (3, 12) else _traced(work)
    finally:
        gc.enable()


def _monitored(work: Callable[[], object]) -> int:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    tool, count = monitoring.PROFILER_ID, 0

    def executed(code: object, offset: int) -> None:
        nonlocal count
        count += 1

    monitoring.use_tool_id(tool, __name__)
    try:
        monitoring.register_callback(tool, monitoring.events.INSTRUCTION, executed)
        monitoring.set_events(tool, monitoring.events.INSTRUCTION)
        work()
        monitoring.set_events(tool, 0)
    finally:
        monitoring.free_tool_id(tool)
    return count


def _traced(work: Callable[[], object]) -> int:
    count = 0

    def local(frame: FrameType, what: str, argument: Any) -> Any:
        nonlocal count
        count += what == "opcode"
        return local

    def called(frame: FrameType, what: str, argument: Any) -> Any:
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        return local

    before = sys.gettrace()
    sys.settrace(called)
    try:
        work()
    finally:
        sys.settrace(before)
    return count
