"""A server of the tests' own is gone afterwards, with its folder, whether it wants to or not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.serving import running

# Writes its number once it no longer stops where it is told to.
_DEAF = "trap '' TERM; echo $$; exec sleep 60"
_STOPS = "echo $$; exec sleep 60"


def _number(folder: Path) -> int:
    deadline = time.monotonic() + 30
    while not (told := (folder / "log").read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(told)


def _is_there(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(("script", "patience"), [(_DEAF, 0.2), (_STOPS, 60.0)])
def test_a_server_is_gone_with_its_folder(tmp_path: Path, script: str, patience: float) -> None:
    """One that does not stop is killed; one that does is not waited for any longer."""
    folder = tmp_path / "server"
    folder.mkdir()
    begun = time.monotonic()
    with running(["sh", "-c", script], folder, {}, "TERM", patience) as watch:
        number = _number(folder)
    assert time.monotonic() - begun < 30
    assert not _is_there(number)
    assert watch.returncode is not None
    assert not folder.exists()
    done = subprocess.run(["ps", "-eo", "pgid"], capture_output=True, text=True, check=True)
    assert str(watch.pid) not in done.stdout.split()


def test_a_server_goes_with_who_is_killed(tmp_path: Path) -> None:
    """Also one that does not stop."""
    folder = tmp_path / "server"
    folder.mkdir()
    code = (
        "import sys; from pathlib import Path; from support.serving import running\n"
        f"with running(['sh', '-c', {_DEAF!r}], Path({str(folder)!r}), {{}}, 'TERM', 0.2):\n"
        "    print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        number = _number(folder)
        process.kill()
    deadline = time.monotonic() + 30
    while _is_there(number) or folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
