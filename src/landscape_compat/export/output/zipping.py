"""A folder as one zip file, the same bytes for the same files, and every byte accounted for.

The files have their digests in the bag's manifests. What zip keeps beside them has none, and one
content has many compressed forms; so the zip file's comment is the digest of all that is before
the record that ends it, and nothing in that record, nor beside the files, is left open.
"""

from __future__ import annotations

import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from landscape_compat.export.output.files import cannot_write

__all__ = ["check_zip", "zip_folder"]

# The first time that a zip file can name.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE: Final = 0o100644 << 16
_UNIX: Final = 3
_ALREADY_COMPRESSED: Final = frozenset({".gz", ".zst", ".parquet"})
_NON_ASCII_NAME: Final = 0x800
_CHUNK: Final = 1 << 20
# The record at the end: its mark, two numbers of disks, how many files there are on this one and
# in all, how long the directory is and where it begins, and how long the comment is.
_END: Final = struct.Struct("<4s4H2LH")
_END_MARK: Final = b"PK\x05\x06"
_DIRECTORY_ENTRY: Final = 46
# What precedes that record where a number does not fit in it.
_BEFORE_END_64: Final = 56 + 20
_MOST_FILES: Final = 0xFFFF
_LARGEST: Final = (1 << 31) - 1


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
        with place.open("x+b") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for path in sorted(folder.rglob("*")):
                    if path.is_file():
                        _add(archive, path, f"{top}/{path.relative_to(folder).as_posix()}")
            _seal(file)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(place, error) from error


def check_zip(archive: zipfile.ZipFile, file: BinaryIO) -> Iterator[str]:
    """Tell what in a zip file is not as `zip_folder` writes it, apart from the files' contents.

    Args:
        archive: The zip file.
        file: The same, to read its bytes by.
    """
    end = file.seek(0, os.SEEK_END) - _END.size - len(_comment(b""))
    if end < 0 or not archive.comment.startswith(_comment(b"")[:7]):
        yield "has not the digest at its end that `export` gives a zip file"
        return
    if archive.comment != _comment(_digest(file, end)):
        yield "was altered: its bytes have not the digest that is at its end"
    at = 0
    for member in archive.infolist():
        name = member.orig_filename
        expected = _info(name, member.file_size, stored=member.compress_type == zipfile.ZIP_STORED)
        expected.CRC, expected.compress_size = member.CRC, member.compress_size
        # So `zipfile` decides on numbers of 64 bits, before it knows what will come of the file.
        header = expected.FileHeader(
            max(expected.file_size * 1.05, expected.compress_size) > _LARGEST
        )
        file.seek(at)
        if member.header_offset != at or file.read(len(header)) != header:
            yield f"the header of {name}, at byte {at}, is not as it was written"
            return
        if not _is_plain(member):
            yield f"the directory says more of {name} than what it is called and how long it is"
        at += len(header)
        if not _is_filled(file, at, member):
            yield f"there are bytes behind the end of {name} that are not of it"
        at += member.compress_size
    yield from _check_end(archive, file, at, end)


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    info = _info(name, path.stat().st_size, stored=path.suffix in _ALREADY_COMPRESSED)
    with path.open("rb") as source, archive.open(info, "w") as target:
        shutil.copyfileobj(source, target, _CHUNK)


def _info(name: str, size: int, *, stored: bool) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _NO_TIME)
    info.create_system = _UNIX
    info.external_attr = _REGULAR_FILE
    info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    info.file_size = size
    return info


def _seal(file: BinaryIO) -> None:
    """Put the digest of a zip file without a comment in its comment."""
    end = file.seek(-_END.size, os.SEEK_END)
    comment = _comment(_digest(file, end))
    file.seek(-2, os.SEEK_END)
    file.write(struct.pack("<H", len(comment)) + comment)


def _digest(file: BinaryIO, end: int) -> bytes:
    """Digest a file up to a byte."""
    digest = sha256()
    file.seek(0)
    while end and (chunk := file.read(min(_CHUNK, end))):
        digest.update(chunk)
        end -= len(chunk)
    return digest.digest()


def _comment(digest: bytes) -> bytes:
    return b"sha256:%s" % digest.hex().encode().rjust(64, b"0")


def _is_plain(member: zipfile.ZipInfo) -> bool:
    """Tell whether a directory entry says nothing that every other does not say."""
    is_ascii = member.orig_filename.isascii()
    return (
        (member.date_time, member.external_attr, member.internal_attr, member.create_system)
        == (_NO_TIME, _REGULAR_FILE, 0, _UNIX)
        and member.flag_bits == (0 if is_ascii else _NON_ASCII_NAME)
        and not member.comment
        and (not member.extra or _needs_64(member))
    )


def _needs_64(member: zipfile.ZipInfo) -> bool:
    return max(member.file_size, member.compress_size, member.header_offset) > _LARGEST


def _is_filled(file: BinaryIO, at: int, member: zipfile.ZipInfo) -> bool:
    """Tell whether the compressed form of a file ends where its place in the zip file does."""
    if member.compress_type == zipfile.ZIP_STORED:
        return member.compress_size == member.file_size
    file.seek(at)
    left, size = member.compress_size, 0
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    while not inflate.eof and size <= member.file_size:
        data = inflate.unconsumed_tail
        if not data:
            data = file.read(min(_CHUNK, left))
            left -= len(data)
        try:
            size += len(inflate.decompress(data, _CHUNK))
        except zlib.error:
            return False
        if not data:
            break
    return inflate.eof and not left and not inflate.unused_data


def _check_end(archive: zipfile.ZipFile, file: BinaryIO, directory: int, end: int) -> Iterator[str]:
    """Tell whether the directory follows the files, and the last record follows it."""
    members = archive.infolist()
    entries = sum(
        _DIRECTORY_ENTRY + len(member.orig_filename.encode()) + len(member.extra)
        for member in members
    )
    is_64 = len(members) > _MOST_FILES or directory > _LARGEST
    after = directory + entries + (_BEFORE_END_64 if is_64 else 0)
    if after != end:
        yield f"there are other bytes than the directory's between the bytes {directory} and {end}"
    count = min(len(members), _MOST_FILES)
    numbers = (0, 0, count, count, entries, min(directory, 0xFFFFFFFF))
    file.seek(end)
    if file.read(_END.size) != _END.pack(_END_MARK, *numbers, len(archive.comment)):
        yield f"the record at its end, at byte {end}, is not as it was written"
