"""A zip file may be anybody's: what it holds beside plain files, each once, is told."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import pytest

from landscape_compat.errors import OutputError
from landscape_compat.export.verify.bag_files import bag_files
from support.failing import room_for


def test_the_folders_of_a_zip_file_are_none_of_its_files(tmp_path: Path) -> None:
    """Other tools list them beside what is in them."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.mkdir("top")
        archive.mkdir("top/data")
        archive.writestr("top/data/a", b"content")
    with bag_files(tmp_path / "a.zip") as files:
        assert (dict(files.sizes), dict(files.odd)) == ({"data/a": 7}, {})
        with files.open("data/a") as file:
            assert file.read() == b"content"


def test_a_file_that_a_zip_file_holds_twice_is_told(tmp_path: Path) -> None:
    """Of which each tool takes another one."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for content in (b"one", b"other"):
            archive.writestr("top/data/a", content)
    with bag_files(tmp_path / "a.zip") as files:
        assert files.odd == {"data/a": "is there twice"}


def test_no_file_is_found_in_what_is_no_zip_file_any_more(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and nothing else")
    with bag_files(tmp_path / "a.zip") as files:
        assert len(files.container) == 1
        assert not files.sizes
        for look in (files.open, files.local):
            with pytest.raises(FileNotFoundError):
                look("bagit.txt")


def test_a_copy_without_room_says_nothing_of_the_bag(tmp_path: Path) -> None:
    """Which was called unreadable when the folder for temporary files was full."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("top/data/a", bytes(100_000))
    with bag_files(tmp_path / "a.zip") as files:
        with files.local("data/a") as copy:
            assert copy.stat().st_size == 100_000
        no_room = pytest.raises(OutputError, match="private copy of the file cannot be written")
        with room_for(50_000), no_room, files.local("data/a"):
            pass
    assert not copy.exists()
