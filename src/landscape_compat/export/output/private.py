"""A private folder for what is on its way elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from landscape_compat.engine.private_folder import PrivateFolder
from landscape_compat.export.output.files import cannot_write

__all__ = ["private_folder"]


@contextmanager
def private_folder() -> Iterator[Path]:
    """Give a folder that is nobody's but this process's; it goes in the end.

    Raises:
        OutputError: None can be made where temporary files go, or something of it cannot be
            removed.
    """
    try:
        folder = PrivateFolder()
    except OSError as error:
        raise cannot_write("A private folder where temporary files go", error) from error
    with closing(folder):
        yield folder.path
