"""The original that was kept under a second name: until its first one is given up, and after."""

from __future__ import annotations

import json
import os
import re
import stat
from contextlib import suppress
from pathlib import Path

__all__ = [
    "PROOF_ENDING",
    "SIDECARS",
    "beside",
    "finish_kept",
    "is_one",
    "kept_by",
    "kept_names",
    "make_readonly",
    "proof_of",
    "take_back",
    "undo_unfinished",
]

PROOF_ENDING = ".intoto.json"

SIDECARS = ("-wal", "-shm", "-journal")
# What reading a file may raise that is no statement.
_NO_STATEMENT = (OSError, ValueError, LookupError, TypeError, RecursionError)
_WRITING = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def kept_names(path: Path) -> re.Pattern[str]:
    """Give the form of the names under which the originals of a database are kept.

    Args:
        path: The database.
    """
    stem, ending = re.escape(path.stem), re.escape(path.suffix)
    return re.compile(rf"{stem}\.\d{{4}}-\d\d-\d\d\.(?P<digest>[0-9a-f]{{12}}){ending}")


def beside(path: Path, suffix: str) -> Path:
    """Name a file that belongs to a database.

    Args:
        path: The database.
        suffix: What is behind its name.
    """
    return path.with_name(f"{path.name}{suffix}")


def proof_of(path: Path) -> Path:
    """Name the statement about the migration that made a database."""
    return beside(path, PROOF_ENDING)


def kept_by(proof: Path) -> str:
    """Read under which name an original was kept; "" if the statement says none.

    Args:
        proof: The statement about a migration in place.
    """
    with suppress(*_NO_STATEMENT):
        return str(json.loads(proof.read_bytes())["predicate"]["kept"])
    return ""


def take_back(path: Path, kept: Path) -> None:
    """Take the second name of a database away again, with all that was begun beside it.

    Nothing is done where the database has not both names: then the second is its only one.

    Args:
        path: Its first name.
        kept: Its second.

    Raises:
        OSError: The folder cannot be changed.
    """
    if not is_one(path, kept):
        return
    claim, former = proof_of(path), proof_of(kept)
    if kept_by(claim) == kept.name:
        # It tells of a migration that did not come about.
        if os.path.lexists(former):
            former.replace(claim)
        else:
            claim.unlink()
    elif is_one(claim, former):
        former.unlink()
    # The database last: by it the others are found again.
    for suffix in (*SIDECARS, ""):
        if is_one(beside(path, suffix), beside(kept, suffix)):
            beside(kept, suffix).unlink()


def undo_unfinished(given: Path) -> None:
    """Take away the second names that a process left behind when it was killed.

    Args:
        given: The database's first name, or a symlink to it.
    """
    path = Path(os.path.realpath(given))
    ours = kept_names(path)
    with suppress(OSError):
        if path.lstat().st_nlink < 2:
            return
        for other in [other for other in path.parent.iterdir() if ours.fullmatch(other.name)]:
            take_back(path, other)


def is_one(one: Path, other: Path) -> bool:
    """Tell whether two names are there, and of one file."""
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except OSError:
        return False


def finish_kept(path: Path) -> None:
    """Make the original read-only that a database's proof says was kept, if it is not yet.

    A process that was killed right after it gave the new database its name has left that to us.
    Until then it may not be done: the original still has its first name.

    Args:
        path: The new database, with no symlink on the way.
    """
    with suppress(*_NO_STATEMENT):
        predicate = json.loads(proof_of(path).read_bytes())["predicate"]
        named = kept_names(path).fullmatch(predicate["kept"])
        if named is None or not predicate["source"]["sha256"].startswith(named["digest"]):
            return
        make_readonly(path.with_name(named.group()))


def make_readonly(kept: Path) -> None:
    """Take away from a kept original, if it has no other name, that anybody may write to it.

    Args:
        kept: The original.

    Raises:
        OSError: It is not there, or is somebody else's.
    """
    found = kept.lstat()
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_mode & _WRITING:
        kept.chmod(stat.S_IMODE(found.st_mode) & ~_WRITING)
