"""A target that fsspec reaches, such as an object store."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from landscape_compat.errors import LandscapeCompatError, OutputError, printable
from landscape_compat.export.dataset.layout import OWN
from landscape_compat.export.output.files import needs_extra
from landscape_compat.export.output.private import private_folder

__all__ = ["RemoteTarget"]

# Where an object appears when all of it is there, and a move would copy it once more.
_WHOLE_OR_NOT: Final = frozenset({"abfs", "az", "gcs", "gs", "memory", "oci", "s3", "s3a"})


@dataclass(frozen=True, slots=True)
class RemoteTarget:
    """A place that fsspec reaches.

    Args:
        url: Its URL; it may hold a password.
        options: What the file system is given besides; they may, too.
    """

    url: str = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)

    @property
    def place(self) -> str:
        """Name it for people: without what may be a password."""
        return printable(re.sub(r"//[^/]*@", "//", self.url).partition("?")[0])

    def make(self) -> bool:
        """Make nothing: a folder comes with its first file, and object stores have none."""
        return False

    def unmake(self) -> None:
        """Remove nothing."""

    def sizes(self) -> dict[str, int]:
        """Give the name of each file, and its size.

        Raises:
            OutputError: The place cannot be read.
        """
        system, root = self._open()
        system.invalidate_cache()
        try:
            found = system.find(root, detail=True)
        except FileNotFoundError:
            return {}
        except Exception as error:
            raise self._failed(error) from error
        return {
            name.removeprefix(root).lstrip("/"): self._size(system, name, one.get("size"))
            for name, one in found.items()
        }

    def _size(self, system: Any, name: str, told: int | None) -> int:
        """Give the size of a file, also where the file system's listing does not."""
        if told is not None:
            return told
        try:
            size: int | None = system.size(name)
            # By what it holds, where nothing tells it.
            return len(system.cat_file(name)) if size is None else size
        except Exception as error:
            raise self._failed(error) from error

    def read(self, name: str) -> bytes:
        """Read a file.

        Raises:
            OutputError: It cannot be read.
        """
        system, root = self._open()
        try:
            return bytes(system.cat_file(f"{root}/{name}"))
        except Exception as error:
            raise self._failed(error) from error

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read it from its beginning.

        Raises:
            OSError: It cannot be read; so may each reading of it.
        """
        system, root = self._open()
        file: IO[bytes] = system.open(f"{root}/{name}", "rb")
        return file

    def staging(self) -> AbstractContextManager[Path]:
        """Give a folder of this machine's.

        A file is sent when it is whole and its digest known: many a file system would keep the
        half of one whose writer fails.

        Raises:
            OutputError: It cannot be made.
        """
        return private_folder()

    def put(self, file: Path, name: str) -> None:
        """Send a file, and where the file system shows half of one, under another name first.

        Raises:
            OutputError: It cannot be written.
        """
        system, root = self._open()
        final = f"{root}/{name}"
        protocols = {system.protocol} if isinstance(system.protocol, str) else {*system.protocol}
        try:
            system.makedirs(final.rpartition("/")[0], exist_ok=True)
            if protocols & _WHOLE_OR_NOT:
                system.put_file(str(file), final)
                return
            system.makedirs(f"{root}/{OWN}", exist_ok=True)
            partial = f"{root}/{OWN}/partial-{secrets.token_hex(8)}"
            system.put_file(str(file), partial)
            try:
                system.mv(partial, final)
            except OSError:
                if not system.exists(final):
                    raise
            if system.exists(partial):
                # SMB refuses to rename to a name that is taken, and WebHDFS does not, and says so
                # to nobody.
                system.rm_file(final)
                system.mv(partial, final)
        except Exception as error:
            raise self._failed(error) from error

    def remove(self, names: Iterable[str]) -> None:
        """Remove files.

        Raises:
            OutputError: One cannot be removed.
        """
        system, root = self._open()
        for name in names:
            try:
                system.rm_file(f"{root}/{name}")
            except FileNotFoundError:
                continue
            except Exception as error:
                raise self._failed(error) from error

    def _open(self) -> tuple[Any, str]:
        try:
            import fsspec
        except ImportError as error:
            raise needs_extra("A target that is no folder", "remote") from error
        try:
            system, root = fsspec.core.url_to_fs(self.url, **self.options)
        except ImportError as error:
            raise LandscapeCompatError(
                f"{self.place} needs a package that is not installed ({error}).",
                remedy="Install it beside fsspec, on every machine that writes.",
            ) from error
        except OSError as error:  # some connect at once
            raise self._failed(error) from error
        except Exception as error:  # what fsspec raises of a URL that it cannot take apart differs
            # Its own words may hold the URL, and with it a password.
            raise OutputError(
                f"{self.place} is not a place that fsspec can write to.",
                remedy="Give a path, or a URL such as s3://bucket/folder.",
            ) from error
        return system, str(root).rstrip("/")

    def _failed(self, error: Exception) -> OutputError:
        # Not every file system's errors are Python's. Of its own words none are repeated: they
        # may hold the URL, and with it a password.
        what = ": ".join(filter(None, (type(error).__name__, getattr(error, "strerror", None))))
        return OutputError(
            f"{self.place} cannot be read or written ({printable(what)}).",
            remedy="Check that it exists, that you may write there, and fsspec's options.",
        )
