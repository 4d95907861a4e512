"""Running the command line in this process, as a shell would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from landscape_compat import uninstall
from landscape_compat.cli import main
from landscape_compat.engine import notices

__all__ = ["Outcome", "Run", "running"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command gave: its exit code, its results, and what it said besides."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Read the results as JSON."""
        return json.loads(self.out)


class Run:
    """Calls a command with words and gives its outcome."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *words: object) -> Outcome:
        self._capture.readouterr()
        code = main([str(word) for word in words])
        out, err = self._capture.readouterr()
        return Outcome(code, out, err)


@contextmanager
def running(capture: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run commands, and leave logging and the host as they were."""
    emit = notices.emit
    try:
        yield Run(capture)
    finally:
        uninstall()  # what `run` installed in this process
        notices.emit = emit
        structlog.reset_defaults()
