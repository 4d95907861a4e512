"""A pool's processes end with the one that made it, also where that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.engine.processes import worker_pool

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


WORKING = """
import sys, time
from pathlib import Path
from landscape_compat.engine.processes import worker_pool

def work(number):
    (Path(sys.argv[1]) / str(number)).touch()
    time.sleep(600)

if __name__ == "__main__":
    with worker_pool(2) as pool:
        print(*pool.map(work, range(6)), flush=True)
"""


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_waited_for_all_that_was_under_way_and_a_second_one_for_ever(
    tmp_path: Path, times: int
) -> None:
    """Sent to the program alone, as a supervisor does; what waits is not begun."""
    (tmp_path / "program.py").write_text(WORKING)
    (tmp_path / "begun").mkdir()
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "begun")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        while len([*(tmp_path / "begun").iterdir()]) < 2:
            time.sleep(0.01)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
        try:
            out, err = process.communicate(timeout=120)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert (out, process.returncode) == ("", -signal.SIGINT)
    assert "KeyboardInterrupt" in err
    assert len([*(tmp_path / "begun").iterdir()]) == 2


def test_an_error_of_one_lets_the_others_end_and_begins_no_more(tmp_path: Path) -> None:
    def done(pool: ProcessPoolExecutor) -> None:
        slow = pool.submit(time.sleep, 0.5)
        waiting = [pool.submit((tmp_path / str(at)).touch) for at in range(100)]
        with pytest.raises(ValueError, match="invalid literal"):
            pool.submit(int, "x").result()
        try:
            pool.submit(int, "x").result()
        finally:
            ended.append(slow)
            ended.extend(waiting)

    ended = list[Future[Any]]()
    with pytest.raises(ValueError, match="invalid literal"), worker_pool(1) as pool:
        done(pool)
    assert all(future.done() for future in ended)
    assert ended[0].exception() is None


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
