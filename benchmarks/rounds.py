"""Interleaved rounds: every contender runs in each round, in random order, by CPU time.

A machine that others use too is slower in one minute than in the next, and speeds up and down by
itself. Contenders that run one after the other are then told apart by the minute they ran in. So
each round runs all of them, and what counts is the ratio to the first one *within* the round.
"""

from __future__ import annotations

import gc
import platform
import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy

__all__ = ["Spread", "machine", "run_rounds"]


@dataclass(frozen=True, slots=True)
class Spread:
    """What the rounds gave for one contender.

    Args:
        ratio: Median of the ratios to the first contender, taken round by round.
        low: Their first quartile.
        high: Their third quartile.
        cpu_us: Median CPU time of one run of the work, in microseconds.
    """

    ratio: float
    low: float
    high: float
    cpu_us: float


def run_rounds(
    contenders: Mapping[str, Callable[[], object]], *, rounds: int, per_run: int = 1, seed: int = 0
) -> dict[str, Spread]:
    """Run every contender once a round.

    Args:
        contenders: Name to work; the first is what the others are compared with.
        rounds: How many rounds.
        per_run: How many statements, say, one call of the work does; only `cpu_us` is divided.
        seed: Of the order within the rounds.
    """
    order = random.Random(seed)
    names = list(contenders)
    times: dict[str, list[int]] = {name: [] for name in names}
    for work in contenders.values():
        work()
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name in order.sample(names, len(names)):
                begin = time.thread_time_ns()
                contenders[name]()
                times[name].append(time.thread_time_ns() - begin)
            gc.collect(1)
    finally:
        gc.enable()
    first = times[names[0]]
    return {name: _spread(times[name], first, per_run) for name in names}


def _spread(times: list[int], first: list[int], per_run: int) -> Spread:
    ratios = [mine / other for mine, other in zip(times, first, strict=True)]
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    cpu = statistics.median(times) / 1000 / per_run
    return Spread(statistics.median(ratios), quartiles[0], quartiles[2], cpu)


def machine() -> str:
    """Say on what all this ran."""
    model = platform.processor() or platform.machine()
    with_name = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return (
        f"{with_name[0] if with_name else model}, {len(with_name) or '?'} cores; "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"SQLAlchemy {sqlalchemy.__version__}"
    )
