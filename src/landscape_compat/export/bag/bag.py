"""Bags: a payload with the tag files that make it complete and verifiable by standard tools.

Source: RFC 8493, The BagIt File Packaging Format (V1.0).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from landscape_compat.export.output.files import FolderFiles

__all__ = [
    "BAGIT",
    "BAG_INFO",
    "DATA",
    "DECLARATION",
    "MANIFEST",
    "PAGES",
    "STATEMENT",
    "TAG_MANIFEST",
    "bag_info",
    "is_page",
    "manifest",
    "seal_bag",
]

BAGIT: Final = "bagit.txt"
BAG_INFO: Final = "bag-info.txt"
MANIFEST: Final = "manifest-sha256.txt"
TAG_MANIFEST: Final = "tagmanifest-sha256.txt"
DATA: Final = "data"
PAGES: Final = "metadata"
STATEMENT: Final = "metadata/export.intoto.json"
DECLARATION: Final = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

_PAGE = re.compile(rf"{PAGES}/[^/]+\.html")
_LINE_BREAKS = re.compile(r"[\r\n]")


def is_page(name: str) -> bool:
    """Tell whether a file is a page about a database.

    Args:
        name: Its name within the bag.
    """
    return _PAGE.fullmatch(name) is not None


def manifest(digests: Mapping[str, str]) -> bytes:
    """Write a manifest, in the form that `sha256sum -c` reads too.

    Args:
        digests: Each file's name within the bag, and its SHA-256 in hexadecimal.
    """
    lines = (f"{digest}  {_encoded(name)}\n" for name, digest in sorted(digests.items()))
    return "".join(lines).encode()


def bag_info(
    *, agent: str, date: str, size: int, files: int, records: int, sources: Sequence[str]
) -> bytes:
    """Write what `bag-info.txt` says.

    Args:
        agent: The version of this package that made the bag.
        date: The day it was made, as `2026-01-18`.
        size: The size of the payload, in bytes.
        files: How many files the payload has.
        records: How many records it holds.
        sources: What it was made from, by name.
    """
    names = ", ".join(_LINE_BREAKS.sub("", name) for name in sources)
    info = {
        "Bag-Software-Agent": f"landscape-compat {agent}",
        "Bagging-Date": date,
        "Payload-Oxum": f"{size}.{files}",
        # Always so: `verify` compares it, also of bags that were made earlier.
        "External-Description": f"{records} records exported from {names}",
    }
    return "".join(f"{label}: {value}\n" for label, value in info.items()).encode()


def seal_bag(bag: Path, payload: Mapping[str, str], tags: Mapping[str, bytes]) -> None:
    """Write the tag files of a bag whose payload is written.

    Args:
        bag: The bag's folder.
        payload: Every file of the payload, by its name within the bag, and its SHA-256.
        tags: The tag files that are no manifest, by their names within the bag.

    Raises:
        OutputError: A file cannot be written.
    """
    files = {BAGIT: DECLARATION, MANIFEST: manifest(payload), **tags}
    with FolderFiles(bag) as written:
        for name, content in files.items():
            (bag / name).parent.mkdir(exist_ok=True)
            written.open(name).write(content)
        tag_digests = {file.path.relative_to(bag).as_posix(): file.sha256 for file in written}
        written.open(TAG_MANIFEST).write(manifest(tag_digests))


def _encoded(name: str) -> str:
    return name.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")
