"""Make the system fail in a process of its own: a disk that is full, a page that cannot be read."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CALLS", "Failure", "fail_call", "limit_files", "mounted", "room_for", "run_failing"]

# Source: the system call tables of the kernel, for each machine.
CALLS = {
    "x86_64": {
        "fcntl": 72,
        "flock": 73,
        "fsync": 74,
        "pread64": 17,
        "pwrite64": 18,
        "read": 0,
        "write": 1,
    },
    "aarch64": {
        "fcntl": 25,
        "flock": 32,
        "fsync": 82,
        "pread64": 67,
        "pwrite64": 68,
        "read": 63,
        "write": 64,
    },
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Which call fails, and how.

    Args:
        call: Its name.
        number: The `errno` that it fails with.
        offset: The value of the argument with which it fails; with each if not given.
        argument: Which argument that is, from 0: by default the offset in the file.
    """

    call: str
    number: int
    offset: int | None = None
    argument: int = 3


def fail_call(failure: Failure) -> None:
    """Have the kernel refuse a call of this process from now on.

    Source: seccomp(2); the filter looks at the call's number and the low half of an argument.
    """
    call = CALLS[platform.machine()][failure.call]
    load, equal, answer = 0x20, 0x15, 0x06
    refuse = (answer, 0, 0, 0x00050000 | failure.number)
    allow = (answer, 0, 0, 0x7FFF0000)
    if failure.offset is None:
        program = [(load, 0, 0, 0), (equal, 0, 1, call), refuse, allow]
    else:
        # The low half of an argument; little-endian machines only, as above.
        program = [
            *((load, 0, 0, 0), (equal, 0, 3, call), (load, 0, 0, 16 + 8 * failure.argument)),
            *((equal, 0, 1, failure.offset), refuse, allow),
        ]
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HP", len(program), ctypes.addressof(buffer))
    library = ctypes.CDLL(None, use_errno=True)
    for request in ((38, 1, 0, 0, 0), (22, 2, header, 0, 0)):
        if library.prctl(*request):
            raise OSError(ctypes.get_errno(), "prctl")


def limit_files(size: int) -> None:
    """Let no file of this process grow beyond a size, as a quota would."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size for a while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


_CHILD = """
import sys
sys.path[:0] = {places!r}
from support.failing import Failure, fail_call, limit_files
from landscape_compat.cli import main
import landscape_compat.export.whole, landscape_compat.migrate.migration
{before}
sys.exit(main(sys.argv[1:]))
"""


def run_failing(before: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process in which something fails.

    Args:
        before: Code that makes it fail; knows this module's names.
        words: The command's words.
    """
    here = Path(__file__).parents[1]
    code = _CHILD.format(places=[str(here), str(here.parent / "src")], before=before)
    # Nothing but what is tested may write a file: no byte code, no data of coverage's.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("COVERAGE_PROCESS_CONFIG", None)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, words)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def mounted(folder: Path, size: int) -> bool:
    """Mount a file system of a size on a folder; tell whether that was allowed."""
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
