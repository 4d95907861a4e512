"""A pool's processes end with the one that made it, also where that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import time
from landscape_compat.engine.processes import worker_pool
if __name__ == "__main__":
    with worker_pool(2) as pool:
        print(*pool.map(abs, [1, -2, 3]), flush=True)
        time.sleep(600)
"""
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="no /proc tells who runs"
)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_none_of_them_is_left(tmp_path: Path, sent: signal.Signals) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1 2 3\n"
        assert len(in_group(process.pid)) >= 2  # not all of the pool may be needed, or there yet
        os.kill(process.pid, sent)
    while in_group(process.pid):
        time.sleep(0.01)


def in_group(leader: int) -> list[str]:
    """Name the processes of a group that still run."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            text = (folder / "stat").read_text()
        except OSError:
            continue  # no process, or one that has ended
        state, _, group = text.rpartition(") ")[2].split()[:3]
        if int(group) == leader and state != "Z":
            found.append(folder.name)
    return found
