"""A folder as one zip file, the same bytes for the same files."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Final

from landscape_compat.export.files import cannot_write

__all__ = ["zip_folder"]

# The first time that a zip file can name.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE: Final = 0o100644 << 16
_ALREADY_COMPRESSED: Final = frozenset({".gz", ".zst", ".parquet"})


def zip_folder(folder: Path, place: Path, top: str) -> None:
    """Write every file of a folder to a zip file.

    Args:
        folder: The folder.
        place: The zip file.
        top: The name of the one folder that the zip file holds.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        with zipfile.ZipFile(place, "x") as archive:
            for path in sorted(folder.rglob("*")):
                if not path.is_file():
                    continue
                info = zipfile.ZipInfo(f"{top}/{path.relative_to(folder).as_posix()}", _NO_TIME)
                info.external_attr = _REGULAR_FILE
                packed = path.suffix in _ALREADY_COMPRESSED
                info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
                info.file_size = path.stat().st_size
                with path.open("rb") as source, archive.open(info, "w") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    except OSError as error:
        raise cannot_write(place, error) from error
