"""The files of a bag that is read, in a folder or in a zip file, which may be anybody's."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final, Protocol

from landscape_compat.errors import OutputError, printable

__all__ = ["UNREADABLE", "BagFiles", "bag_files"]

# What reading a file of a bag may raise.
UNREADABLE: Final = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


class BagFiles(Protocol):
    """The files of a bag."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Give each regular file's name within the bag, and its size in bytes."""

    @property
    def odd(self) -> Mapping[str, str]:
        """Give what lies there and is no regular file, and what it is."""

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read it from its beginning."""

    def local(self, name: str) -> AbstractContextManager[Path]:
        """Give a path to read a file by, for what reads no other."""


@contextmanager
def bag_files(path: Path) -> Iterator[BagFiles]:
    """Open a bag.

    Args:
        path: Its folder, or its zip file.

    Raises:
        OutputError: There is neither.
    """
    if path.is_dir():
        yield _Folder(path)
        return
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        what = "is not there" if not os.path.lexists(path) else f"cannot be read as a bag: {error}"
        raise OutputError(
            f"{printable(path)} {what}.",
            remedy="Give the folder or the zip file that `export` wrote.",
        ) from error
    with archive:
        yield _Zip(archive)


class _Folder:
    """The files of a bag in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sizes: dict[str, int] = {}
        self.odd: dict[str, str] = {}
        self._list(folder, "")

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read it from its beginning."""
        descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        return os.fdopen(descriptor, "rb", buffering=1 << 20)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """Give a path to read a file by."""
        yield self._folder / name

    def _list(self, folder: Path, prefix: str) -> None:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = prefix + entry.name
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    self._list(folder / entry.name, f"{name}/")
                elif stat.S_ISREG(found.st_mode):
                    self.sizes[name] = found.st_size
                else:
                    kind = "a symlink" if entry.is_symlink() else "no regular file"
                    self.odd[name] = f"is {kind}"


class _Zip:
    """The files of a bag in a zip file, below the one folder that it holds."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.sizes: dict[str, int] = {}
        self.odd: dict[str, str] = {}
        self._members: dict[str, zipfile.ZipInfo] = {}
        tops = {info.filename.partition("/")[0] for info in archive.infolist()}
        top = f"{tops.pop()}/" if len(tops) == 1 else ""
        for info in archive.infolist():
            name = info.filename.removeprefix(top)
            if info.is_dir():
                continue
            if name in self.sizes:
                self.odd[name] = "is there twice"
            elif info.flag_bits & 1:
                self.odd[name] = "is encrypted"
            self._members[name] = info
            self.sizes[name] = info.file_size

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read it from its beginning."""
        return self._archive.open(self._members[name])

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """Give a path to read a file by: that of a copy."""
        with TemporaryDirectory(prefix="landscape-compat-") as folder:
            copy = Path(folder) / "file"
            with self.open(name) as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            yield copy
