"""The files of a bag that is read, in a folder or in a zip file, which may be anybody's."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Final, Protocol

from landscape_compat.engine.descriptors import READ_FLAGS
from landscape_compat.errors import OutputError, printable
from landscape_compat.export.output.files import cannot_write
from landscape_compat.export.output.private import private_folder
from landscape_compat.export.output.zipping import check_zip

__all__ = ["UNREADABLE", "BagFiles", "Files", "bag_files"]

# A Python that was built without LZMA reads no zip file that is packed by it.
_LZMA: Final[type[Exception]] = getattr(
    getattr(zipfile, "lzma", None), "LZMAError", zipfile.BadZipFile
)
# What reading a file of a bag may raise.
UNREADABLE: Final = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, _LZMA)
# What opening a zip file may raise.
_NO_ZIP: Final = (*UNREADABLE, ValueError, OverflowError, struct.error)
_ZIP_MARK: Final = b"PK\x03\x04"


class Files(Protocol):
    """The files of a bag, or of a dataset."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Give each regular file's name within it, and its size in bytes."""

    @property
    def odd(self) -> Mapping[str, str]:
        """Give what lies there and is no regular file, and what it is."""

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read it from its beginning."""


class BagFiles(Files, Protocol):
    """The files of a bag."""

    @property
    def container(self) -> Sequence[str]:
        """Tell what is wrong with what holds the files, apart from them."""

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
    try:
        opened = _Folder(path) if path.is_dir() else path.open("rb")
    except OSError as error:
        what = "is not there" if not os.path.lexists(path) else f"cannot be read: {error.strerror}"
        raise _no_bag(path, what) from error
    if isinstance(opened, _Folder):
        yield opened
        return
    file = opened
    with file:
        try:
            archive = zipfile.ZipFile(file)
        except _NO_ZIP as error:
            file.seek(0)
            if not file.read(len(_ZIP_MARK)) == _ZIP_MARK and path.suffix.lower() != ".zip":
                raise _no_bag(path, f"cannot be read as a bag: {error}") from error
            yield _NoZip(f"cannot be read as a zip file: {error}")
            return
        with archive:
            yield _Zip(archive, file)


def _no_bag(path: Path, what: str) -> OutputError:
    return OutputError(
        f"{printable(path)} {what}.",
        remedy="Give the folder or the zip file that `export` wrote; or for a database that "
        "`migrate` made, its proof by --proof, if it does not lie beside it.",
    )


class _Folder:
    """The files of a bag in a folder."""

    container: Sequence[str] = ()

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sizes: dict[str, int] = {}
        self.odd: dict[str, str] = {}
        pending = [""]
        while pending:
            self._list(pending.pop(), pending)

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read it from its beginning."""
        # A pipe may have taken the place of what was listed, and nobody write to it.
        descriptor = os.open(self._folder / name, READ_FLAGS)
        return os.fdopen(descriptor, "rb", buffering=1 << 20)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """Give a path to read a file by."""
        yield self._folder / name

    def _list(self, prefix: str, pending: list[str]) -> None:
        with os.scandir(self._folder / prefix) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = prefix + entry.name
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    pending.append(f"{name}/")
                elif stat.S_ISREG(found.st_mode):
                    self.sizes[name] = found.st_size
                else:
                    kind = "a symlink" if entry.is_symlink() else "no regular file"
                    self.odd[name] = f"is {kind}"


class _Zip:
    """The files of a bag in a zip file, below the one folder that it holds."""

    def __init__(self, archive: zipfile.ZipFile, file: BinaryIO) -> None:
        self._archive = archive
        self._file = file
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

    @property
    def container(self) -> Sequence[str]:
        """Tell what is wrong with the zip file, apart from its files."""
        return list(check_zip(self._archive, self._file))

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read it from its beginning."""
        return self._archive.open(self._members[name])

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """Give a path to read a file by: that of a copy.

        Raises:
            OutputError: There is no room for the copy; says nothing of the bag.
        """
        with private_folder() as folder:
            copy = folder / "file"
            with self.open(name) as source, copy.open("wb") as target:
                while data := source.read(1 << 20):
                    try:
                        target.write(data)
                        target.flush()
                    except OSError as error:
                        raise cannot_write("A private copy of the file", error) from error
            yield copy


class _NoZip:
    """What was a zip file, and cannot be read as one."""

    def __init__(self, what: str) -> None:
        self.container: Sequence[str] = [what]
        self.sizes: Mapping[str, int] = {}
        self.odd: Mapping[str, str] = {}

    def open(self, name: str) -> IO[bytes]:
        """Open no file: none can be found."""
        raise FileNotFoundError(name)

    def local(self, name: str) -> AbstractContextManager[Path]:
        """Give no path: no file can be found."""
        raise FileNotFoundError(name)
