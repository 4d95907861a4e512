"""A zip file of ours has one form: whatever is changed in it, or hidden in it, is named."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from landscape_compat.errors import OutputError
from landscape_compat.export.output import zipping
from landscape_compat.export.output.zipping import zip_folder
from landscape_compat.export.verify.bag_files import bag_files
from landscape_compat.export.verify.verify import verify_bag
from landscape_compat.export.whole import export_bag
from landscape_compat.landscape.database import open_landscape
from support.failing import room_for
from support.legacy import Written

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Give a zip file of three files: one with a repetition, one stored as it is, one empty."""
    folder = tmp_path / "folder"
    (folder / "däta").mkdir(parents=True)
    (folder / "däta" / "a.txt").write_bytes(b"abababab, again abababab\n")
    (folder / "b.gz").write_bytes(b"not compressed again")
    (folder / "c").write_bytes(b"")
    zip_folder(folder, tmp_path / "small.zip", "top")
    return tmp_path / "small.zip"


@pytest.fixture
def bag(legacy: Written, tmp_path: Path) -> Path:
    with open_landscape(legacy.path) as db:
        export_bag(db, tmp_path / "bag.zip", formats=("jsonl", "csv.gz"))
    return tmp_path / "bag.zip"


def wrong(path: Path) -> list[str]:
    """Tell what is wrong with a zip file; its content is looked at nowhere."""
    with bag_files(path) as files:
        return list(files.container)


def seal_again(path: Path) -> None:
    """Put the digest right, as whoever alters a zip file can."""
    data = path.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    comment = b"sha256:" + sha256(data[:end]).hexdigest().encode()
    path.write_bytes(data[: end + 20] + struct.pack("<H", len(comment)) + comment)


def test_a_zip_file_is_sound_and_the_same_each_time(small: Path, tmp_path: Path) -> None:
    assert wrong(small) == []
    zip_folder(tmp_path / "folder", tmp_path / "again.zip", "top")
    assert (tmp_path / "again.zip").read_bytes() == small.read_bytes()
    with zipfile.ZipFile(small) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["top/b.gz", "top/c", "top/däta/a.txt"]
        assert archive.read("top/däta/a.txt") == b"abababab, again abababab\n"
        data = small.read_bytes()
        digest = sha256(data[: data.rindex(b"PK\x05\x06")]).hexdigest()
        assert archive.comment == b"sha256:" + digest.encode()


def test_every_single_bit_counts(small: Path) -> None:
    data = small.read_bytes()
    for at in range(8 * len(data)):
        other = bytearray(data)
        other[at // 8] ^= 1 << at % 8
        small.write_bytes(other)
        assert wrong(small), f"bit {at % 8} of byte {at // 8}"
    assert 2000 < 8 * len(data) < 6000


def test_every_byte_that_is_cut_off_or_put_behind_counts(small: Path) -> None:
    data = small.read_bytes()
    for end in range(4, len(data)):
        small.write_bytes(data[:end])
        assert wrong(small), end
    small.write_bytes(data + b"\n")
    assert wrong(small)
    small.write_bytes(b"#!/bin/sh\n" + data)
    assert wrong(small)


def test_a_bag_in_a_zip_file_verifies_until_it_is_touched(bag: Path) -> None:
    assert verify_bag(bag).findings == []
    data = bag.read_bytes()
    for at in range(0, len(data), max(1, len(data) // 25)):
        other = bytearray(data)
        other[at] ^= 1 << at % 8
        bag.write_bytes(other)
        found = verify_bag(bag)
        assert any(finding.where == "bag.zip" for finding in found.findings), at


def test_a_damaged_zip_file_is_unsound_for_the_command(bag: Path) -> None:
    """It ends with 4, as what was altered does, also where no file can be found in it any more."""
    bag.write_bytes(bag.read_bytes()[:1000])
    command = [sys.executable, "-m", "landscape_compat", "verify", str(bag)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done
    assert "bag.zip: cannot be read as a zip file" in done.stdout


def test_what_never_was_a_zip_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bag").write_text("mine")
    with pytest.raises(OutputError), bag_files(tmp_path / "bag"):
        pass


def test_a_zip_file_that_another_tool_made_is_named_so(bag: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bag) as archive, zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        for name in archive.namelist():
            other.writestr(name, archive.read(name))
    told = [str(finding) for finding in verify_bag(tmp_path / "other.zip").findings]
    assert told == ["other.zip: has not the digest at its end that `export` gives a zip file"]


# Hidden by somebody who puts the digest right -----------------------------------------------


def with_member(change: Callable[[zipfile.ZipInfo], None]) -> Callable[[Path], None]:
    """Write a zip file anew, with something else said of its last file."""

    def rewrite(path: Path) -> None:
        made = io.BytesIO()
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(made, "w") as other:
            for member in archive.infolist():
                info = zipping._info(member.filename, member.file_size, stored=False)
                if member is archive.infolist()[-1]:
                    change(info)
                other.writestr(info, archive.read(member), compress_type=info.compress_type)
        path.write_bytes(made.getvalue())

    return rewrite


def between(path: Path) -> None:
    """Put bytes in front of the directory, and say that it begins behind them."""
    data = path.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    (start,) = struct.unpack_from("<L", data, end + 16)
    moved = data[:start] + b"hidden" + data[start : end + 16] + struct.pack("<L", start + 6)
    path.write_bytes(moved + data[end + 20 :])


def behind_a_stream(path: Path) -> None:
    """Put bytes behind the end of a compressed file, and say that they are of it."""
    with zipfile.ZipFile(path) as archive:
        last = archive.infolist()[-1]
    data = path.read_bytes()
    local = last.header_offset
    (name,) = struct.unpack_from("<H", data, local + 26)
    stream_end = local + 30 + name + last.compress_size
    size = struct.pack("<L", last.compress_size + 6)
    directory = data.rindex(b"PK\x01\x02")
    other = bytearray(data)
    other[local + 18 : local + 22] = size
    other[directory + 20 : directory + 24] = size
    end = data.rindex(b"PK\x05\x06")
    (start,) = struct.unpack_from("<L", data, end + 16)
    other[end + 16 : end + 20] = struct.pack("<L", start + 6)
    other[stream_end:stream_end] = b"hidden"
    path.write_bytes(other)


def local_name(path: Path) -> None:
    """Call a file in its own header otherwise than in the directory."""
    data = path.read_bytes()
    path.write_bytes(data.replace(b"top/b.gz", b"top/x.gz", 1))


def two_numbers(path: Path) -> None:
    """Say that there are more files than the directory has."""
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x05\x06") + 8] += 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (with_member(lambda info: setattr(info, "comment", b"hidden")), "the directory says more"),
        (with_member(lambda info: setattr(info, "extra", b"\0\0\2\0hi")), "the header of top/d"),
        (with_member(lambda info: setattr(info, "date_time", (2026, 1, 1, 0, 0, 0))), "the header"),
        (with_member(lambda info: setattr(info, "external_attr", 0o777 << 16)), "the directory"),
        (with_member(lambda info: setattr(info, "internal_attr", 1)), "the directory says more"),
        (with_member(lambda info: setattr(info, "create_system", 0)), "the directory says more"),
        (with_member(lambda info: setattr(info, "compress_type", zipfile.ZIP_LZMA)), "the header"),
        (between, "there are other bytes than the directory's"),
        (behind_a_stream, "there are bytes behind the end of top/däta/a.txt"),
        (local_name, "the header of top/b.gz, at byte 0,"),
        (two_numbers, "the record at its end"),
    ],
)
def test_what_is_hidden_beside_the_files_is_named(
    small: Path, change: Callable[[Path], None], told: str
) -> None:
    change(small)
    seal_again(small)
    assert any(told in text for text in wrong(small)), wrong(small)


def test_sizes_that_need_64_bits_are_of_the_one_form_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a zip file of several gigabytes looks like, made small by calling less large."""
    (tmp_path / "folder").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "folder" / name).write_bytes(bytes(range(256)) * 3)
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 300)
    monkeypatch.setattr(zipping, "_LARGEST", 300)
    zip_folder(tmp_path / "folder", tmp_path / "large.zip", "top")
    data = (tmp_path / "large.zip").read_bytes()
    assert b"PK\x06\x06" in data
    assert wrong(tmp_path / "large.zip") == []
    for at in range(0, len(data), 3):
        other = bytearray(data)
        other[at] ^= 1 << at % 8
        (tmp_path / "large.zip").write_bytes(other)
        assert wrong(tmp_path / "large.zip"), at


def test_a_zip_file_that_finds_no_room_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.gz").write_bytes(bytes(2_000))
    with room_for(1_000), pytest.raises(OutputError, match=r"large\.zip cannot be written: File"):
        zip_folder(tmp_path / "folder", tmp_path / "large.zip", "top")


def test_a_file_that_grows_more_than_is_read_at_once_is_followed_to_its_end(
    tmp_path: Path,
) -> None:
    """A few bytes may hold millions, and there is nothing behind them but what is told."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_bytes(bytes(5 << 20))
    zip_folder(tmp_path / "folder", tmp_path / "a.zip", "top")
    assert (tmp_path / "a.zip").stat().st_size < 10_000
    assert wrong(tmp_path / "a.zip") == []
    behind_a_stream(tmp_path / "a.zip")
    seal_again(tmp_path / "a.zip")
    assert wrong(tmp_path / "a.zip") == [
        "there are bytes behind the end of top/a that are not of it"
    ]
