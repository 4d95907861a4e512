"""Where a dataset is written: a folder of this machine's, or whatever fsspec reaches."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from landscape_compat.errors import printable
from landscape_compat.export.dataset.layout import OWN
from landscape_compat.export.dataset.remote import RemoteTarget
from landscape_compat.export.output.files import WrittenFile, cannot_write

__all__ = ["LocalTarget", "Target", "put_bytes", "target_of"]


T = TypeVar("T")


class Target(Protocol):
    """Holds files by their names, each whole or not at all; can be sent to another process."""

    @property
    def place(self) -> str:
        """Name it for people, without a secret."""

    def make(self) -> bool:
        """Make it, if it is not there; tell whether it was made."""

    def unmake(self) -> None:
        """Remove it, if it is empty."""

    def sizes(self) -> dict[str, int]:
        """Give the name of each file that it holds, and its size."""

    def read(self, name: str) -> bytes:
        """Read a file."""

    def staging(self) -> AbstractContextManager[Path]:
        """Give a folder of this machine's for files that are to be put; it goes in the end."""

    def put(self, file: Path, name: str) -> None:
        """Move a file from `staging` to its name, in one step; what was there is replaced."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, and what folders that leaves empty."""


def target_of(
    target: str | os.PathLike[str], options: Mapping[str, Any] | None
) -> LocalTarget | RemoteTarget:
    """Find what is meant by a target.

    Args:
        target: A path, or a URL that fsspec understands.
        options: What fsspec's file system is given besides.
    """
    text = os.fspath(target)
    scheme, found, rest = text.partition("://")
    if not found or not isinstance(target, str):
        path = text
    elif scheme in ("file", "local"):
        path = rest
    else:
        return RemoteTarget(text, dict(options or {}))
    return LocalTarget(Path(os.path.abspath(path)))  # noqa: PTH100 - a symlink stays one


def put_bytes(target: Target, name: str, data: bytes) -> None:
    """Write a small file.

    Args:
        target: Where.
        name: Its name.
        data: What it holds.

    Raises:
        OutputError: It cannot be written.
    """
    with target.staging() as folder:
        file = WrittenFile(folder / "file")
        try:
            file.write(data)
        finally:
            file.close()
        target.put(file.path, name)


@dataclass(frozen=True, slots=True)
class LocalTarget:
    """A folder.

    Args:
        root: Its path, absolute.
    """

    root: Path

    @property
    def place(self) -> str:
        """Name it for people."""
        return printable(self.root)

    def make(self) -> bool:
        """Make the folder, if it is not there; what it is in must exist.

        Returns:
            Whether it was made.

        Raises:
            OutputError: It cannot be made.
        """
        is_new = not os.path.lexists(self.root)
        self._try(lambda: self.root.mkdir(exist_ok=True))
        return is_new

    def unmake(self) -> None:
        """Remove the folder, if it is empty."""
        with suppress(OSError):
            self.root.rmdir()

    def sizes(self) -> dict[str, int]:
        """Give the name of each file, and its size; those in `staging` are among them.

        Raises:
            OutputError: It is no folder, or cannot be read.
        """
        found = {}
        try:
            for folder, folders, files in os.walk(self.root, onerror=_raise):
                links = [name for name in folders if Path(folder, name).is_symlink()]
                for name in (*files, *links):
                    path = Path(folder, name)
                    found[path.relative_to(self.root).as_posix()] = path.lstat().st_size
        except OSError as error:
            raise cannot_write(self.root, error) from error
        return found

    def read(self, name: str) -> bytes:
        """Read a file.

        Raises:
            OutputError: It cannot be read.
        """
        return self._try((self.root / name).read_bytes)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Give a folder beside the data, from which files move in one step.

        Raises:
            OutputError: It cannot be made; so it is where a worker does not share the target.
        """
        own = self.root / OWN
        self._try(lambda: own.mkdir(exist_ok=True))
        try:
            folder = Path(self._try(lambda: tempfile.mkdtemp(prefix="partial-", dir=own)))
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            with suppress(OSError):  # the mark is in it, unless it is that which failed
                own.rmdir()

    def put(self, file: Path, name: str) -> None:
        """Rename a file.

        Raises:
            OutputError: It cannot be renamed.
        """
        final = self.root / name

        def move() -> None:
            final.parent.mkdir(parents=True, exist_ok=True)
            file.replace(final)

        self._try(move)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, and what folders that leaves empty.

        Raises:
            OutputError: One cannot be removed.
        """
        for name in names:
            path = self.root / name
            self._try(partial(path.unlink, missing_ok=True))
            with suppress(OSError):  # it holds something else
                while (path := path.parent) != self.root:
                    path.rmdir()
        # Of a process that was killed before it had written anything.
        for path in (self.root / OWN).glob("partial-*"):
            with suppress(OSError):
                path.rmdir()
        with suppress(OSError):
            (self.root / OWN).rmdir()

    def _try(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except OSError as error:
            raise cannot_write(self.root, error) from error


def _raise(error: OSError) -> None:
    raise error
