"""A file's size, digest and records are those of what is on the disk, and errors name the file."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from landscape_compat.errors import LandscapeCompatError, OutputError
from landscape_compat.export.output.files import FolderFiles
from support.failing import room_for


def test_what_is_said_of_a_file_is_what_is_in_it(tmp_path: Path) -> None:
    with FolderFiles(tmp_path) as files:
        first, second = files.open("first"), files.open("second")
        first.write(b"head\n")
        first.write(b"one\n", 1)
        first.write(b"two\n" * 1_000_000, 1)
    assert list(files) == [first, second]
    data = (tmp_path / "first").read_bytes()
    assert data == b"head\none\n" + b"two\n" * 1_000_000
    assert (first.size, first.records) == (len(data), 2)
    assert first.sha256 == hashlib.sha256(data).hexdigest()
    assert (second.size, second.records) == (0, 0)
    assert second.sha256 == hashlib.sha256(b"").hexdigest()


def test_a_file_that_exists_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("as it was")
    with FolderFiles(tmp_path) as files, pytest.raises(OutputError, match="taken") as caught:
        files.open("taken")
    assert caught.value.remedy
    assert (tmp_path / "taken").read_text() == "as it was"


@pytest.mark.parametrize("size", [2_000, 4_000_000])
def test_a_file_that_finds_no_room_is_told_by_its_name(tmp_path: Path, size: int) -> None:
    """Also when that shows only as the last bytes are written out."""

    def write() -> None:
        with FolderFiles(tmp_path) as files:
            files.open("file").write(b"x" * size)

    with room_for(1_000), pytest.raises(OutputError, match="file cannot be written: File too"):
        write()


def test_what_went_wrong_first_is_what_is_told(tmp_path: Path) -> None:
    def write() -> None:
        with FolderFiles(tmp_path) as files:
            files.open("file").write(b"x" * 2_000)
            raise KeyError("first")

    with room_for(1_000), pytest.raises(KeyError):
        write()


def test_every_file_is_closed_though_one_cannot_be(tmp_path: Path) -> None:
    def write() -> None:
        with FolderFiles(tmp_path) as files:
            files.open("large").write(b"x" * 2_000)
            files.open("small").write(b"x" * 500)

    with room_for(1_000), pytest.raises(OutputError, match="large"):
        write()
    assert (tmp_path / "small").read_bytes() == b"x" * 500


def test_a_file_that_somebody_else_writes_and_loses_is_told_by_its_name(tmp_path: Path) -> None:
    def lose() -> None:
        with FolderFiles(tmp_path) as files:
            files.adopt("theirs").path.unlink()

    with pytest.raises(OutputError, match="theirs cannot be written: No such file"):
        lose()


def test_what_compresses_is_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with FolderFiles(tmp_path, "zst") as files, pytest.raises(LandscapeCompatError) as caught:
        files.open("file")
    assert caught.value.reason == "Compression by zstd needs a package that is not installed."
    assert "landscape-compat[zstd]" in str(caught.value.remedy)
    assert list(tmp_path.iterdir()) == []
