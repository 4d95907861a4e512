"""Where the system fails, nothing half-made is left, and a rerun succeeds."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from landscape_compat.cli import main
from landscape_compat.errors import ExitCode
from support.commands import Run, running
from support.failing import CALLS, mounted, run_failing
from support.legacy import Written
from support.untouched import untouched

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in CALLS,
    reason="calls are made to fail by Linux's seccomp, on machines whose call numbers are known",
)

OUTPUTS = {"export": "bag", "migrate": "new.db"}
EIO, ENOSPC, EDQUOT = 5, 28, 122
FAULTS = {
    "a file cannot grow (a quota)": ("limit_files(20_000)", "export migrate"),
    "the disk loses what is written (EIO)": (f"fail_call(Failure('fsync', {EIO}))", "export"),
    "the disk is full when it is written out": (
        f"fail_call(Failure('fsync', {ENOSPC}))",
        "export migrate",
    ),
    "the quota is exceeded": (f"fail_call(Failure('fsync', {EDQUOT}))", "export"),
    "the disk fills while a database is made": (
        f"fail_call(Failure('pwrite64', {ENOSPC}, 4096))",
        "migrate",
    ),
    "a page cannot be read (EIO)": (
        f"fail_call(Failure('pread64', {EIO}, 5 * 4096))",
        "export migrate",
    ),
    "a page of what was made cannot be read again (EIO)": (
        f"fail_call(Failure('pread64', {EIO}, 39 * 4096))",
        "migrate",
    ),
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run commands in this process, where nothing fails."""
    with running(capsys) as run:
        return run


@pytest.mark.parametrize(
    ("fault", "command"),
    [(name, command) for name, (_, commands) in FAULTS.items() for command in commands.split()],
)
def test_a_fault_leaves_nothing_behind(
    fault: str, command: str, legacy: Written, tmp_path: Path, run: Run
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    out = folder / OUTPUTS[command]
    with untouched(legacy.path):
        done = run_failing(FAULTS[fault][0], command, legacy.path, "-o", out)
        assert done.returncode in (ExitCode.OPERATIONAL, ExitCode.UNREADABLE), done.stderr
        assert "Traceback" not in done.stderr
        assert "Remedy:" in done.stderr
        assert list(folder.iterdir()) == []
        again = run(command, legacy.path, "-o", out)
    assert again.code == ExitCode.DONE, again.err
    if command == "export":
        assert run("verify", out).code == ExitCode.DONE


@pytest.mark.parametrize("command", OUTPUTS)
def test_a_full_disk_leaves_nothing_behind(command: str, legacy: Written, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    if not mounted(folder, 64 << 10):
        pytest.skip("a small file system can be mounted by root only")
    try:
        with untouched(legacy.path):
            done = run_failing("", command, legacy.path, "-o", folder / OUTPUTS[command])
        assert done.returncode == ExitCode.OPERATIONAL, done.stderr
        assert "Traceback" not in done.stderr
        assert list(folder.iterdir()) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_where_nothing_can_be_said_the_exit_code_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What errors go to is full, as the disk of a log may be."""
    with suppress(OSError), Path("/dev/full").open("w", buffering=1) as full:
        monkeypatch.setattr(sys, "stderr", full)
        assert main(["inspect", str(tmp_path / "none.db")]) == ExitCode.OPERATIONAL


def test_a_reader_that_closes_the_pipe_ends_the_export(legacy: Written) -> None:
    command = [
        sys.executable,
        "-m",
        "landscape_compat",
        "export",
        "-q",
        str(legacy.path),
        "-o",
        "-",
    ]
    with untouched(legacy.path):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
        os.close(write)
    assert (done.returncode, done.stderr) == (ExitCode.OPERATIONAL, "")


def test_a_copy_that_finds_no_room_says_how_much_it_takes(legacy: Written, tmp_path: Path) -> None:
    """What can only be read from a copy is refused before a byte is copied."""
    folder = tmp_path / "small"
    folder.mkdir()
    Path(f"{legacy.path}-journal").write_bytes(bytes.fromhex("d9d505f920a163d7") + bytes(600))
    if not mounted(folder, 64 << 10):
        pytest.skip("a small file system can be mounted by root only")
    try:
        with untouched(legacy.path):
            before = f"import tempfile; tempfile.tempdir = {str(folder)!r}"
            done = run_failing(before, "inspect", legacy.path)
        assert done.returncode == ExitCode.OPERATIONAL
        assert "MiB are free" in done.stderr
        assert "TMPDIR" in done.stderr
        assert list(folder.iterdir()) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)
