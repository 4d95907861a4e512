"""The command line, called as a shell would call it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.commands import Run, running


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Call a command with words and get its exit code, results and talk."""
    with running(capsys) as run:
        yield run
