"""Prove that a file, and the folder it lies in, were left exactly as they were."""

from __future__ import annotations

import atexit
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock

__all__ = ["FileState", "FolderState", "state_of", "untouched"]

_HASHER = """
import hashlib, sys
for line in sys.stdin:
    digest = hashlib.sha256()
    try:
        with open(bytes.fromhex(line), "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        print("error", error.errno, flush=True)
    else:
        print(digest.hexdigest(), flush=True)
"""


@dataclass(frozen=True, slots=True)
class FileState:
    """What can be said of one file without opening it in this process."""

    size: int
    mtime_ns: int
    ctime_ns: int
    mode: str
    inode: int
    links: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class FolderState:
    """A file, its folder's own stamp, and every name in that folder."""

    path: Path
    file: FileState
    folder_mtime_ns: int
    listing: dict[str, FileState]


@contextmanager
def untouched(path: str | os.PathLike[str]) -> Iterator[FolderState]:
    """Check that the block leaves a file and its folder as they were.

    Args:
        path: The file; every file beside it is watched too.

    Raises:
        AssertionError: Something differs afterwards; says what, before and after.
    """
    before = state_of(path)
    yield before
    difference = _difference(before, state_of(path))
    if difference:
        raise AssertionError(f"{before.path} was not left alone:\n" + "\n".join(difference))


def state_of(path: str | os.PathLike[str]) -> FolderState:
    """Describe a file and its folder, without opening the file in this process.

    Args:
        path: The file.

    Raises:
        OSError: The file cannot be read.
    """
    file = Path(path).absolute()
    # A write through shared memory can leave every stamp of a -shm file as it was.
    sidecars = {file.name + suffix for suffix in ("-wal", "-shm", "-journal")}
    listing = {}
    with os.scandir(file.parent) as entries:
        for entry in entries:
            digest = _sha256(Path(entry.path)) if entry.name in sidecars else ""
            listing[entry.name] = _stat(entry.stat(follow_symlinks=False), digest)
    return FolderState(
        path=file,
        file=_stat(file.stat(), _sha256(file)),
        folder_mtime_ns=file.parent.stat().st_mtime_ns,
        listing=listing,
    )


def _stat(found: os.stat_result, sha256: str = "") -> FileState:
    return FileState(
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        mode=stat.filemode(found.st_mode),
        inode=found.st_ino,
        links=found.st_nlink,
        sha256=sha256,
    )


def _difference(before: FolderState, after: FolderState) -> list[str]:
    lines = [f"  the file: {line}" for line in _fields(before.file, after.file)]
    if before.folder_mtime_ns != after.folder_mtime_ns:
        lines.append(
            f"  the folder: mtime_ns {before.folder_mtime_ns} -> {after.folder_mtime_ns} "
            "(a name came or went)"
        )
    for name in sorted(before.listing.keys() | after.listing.keys()):
        old, new = before.listing.get(name), after.listing.get(name)
        if old is None:
            lines.append(f"  beside it: {name!r} is new: {new}")
        elif new is None:
            lines.append(f"  beside it: {name!r} is gone")
        elif name != before.path.name:
            lines += [f"  beside it: {name!r} {line}" for line in _fields(old, new)]
    return lines


def _fields(before: FileState, after: FileState) -> list[str]:
    return [
        f"{name} {getattr(before, name)} -> {getattr(after, name)}"
        for name in FileState.__dataclass_fields__
        if getattr(before, name) != getattr(after, name)
    ]


_one_at_a_time = Lock()


def _sha256(path: Path) -> str:
    # Opening and closing a database here would drop every POSIX lock that SQLite holds on it
    # in this process, and with that change what the test is about. So a child does it.
    hasher = _start_hasher()
    assert hasher.stdin is not None
    assert hasher.stdout is not None
    with _one_at_a_time:
        hasher.stdin.write(os.fsencode(path).hex() + "\n")
        hasher.stdin.flush()
        answer = hasher.stdout.readline().strip()
    if not answer or answer.startswith("error"):
        number = int(answer.partition(" ")[2] or 5)
        raise OSError(number, os.strerror(number), str(path))
    return answer


@cache
def _start_hasher() -> subprocess.Popen[str]:
    hasher = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _HASHER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(_stop, hasher)
    return hasher


def _stop(hasher: subprocess.Popen[str]) -> None:
    hasher.communicate()
