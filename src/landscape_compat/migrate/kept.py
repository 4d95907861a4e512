"""The original that a swap kept: made read-only, at the latest when the new one is opened."""

from __future__ import annotations

import json
import re
import stat
from contextlib import suppress
from pathlib import Path

__all__ = ["finish_kept", "kept_names", "make_readonly"]

_WRITING = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def kept_names(path: Path) -> re.Pattern[str]:
    """Give the form of the names under which the originals of a database are kept.

    Args:
        path: The database.
    """
    stem, ending = re.escape(path.stem), re.escape(path.suffix)
    return re.compile(rf"{stem}\.\d{{4}}-\d\d-\d\d\.(?P<digest>[0-9a-f]{{12}}){ending}")


def finish_kept(path: Path) -> None:
    """Make the original read-only that a database's proof says was kept, if it is not yet.

    A process that was killed right after it gave the new database its name has left that to us.
    Until then it may not be done: the original still has its first name.

    Args:
        path: The new database, with no symlink on the way.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        predicate = json.loads(path.with_name(f"{path.name}.intoto.json").read_bytes())["predicate"]
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
