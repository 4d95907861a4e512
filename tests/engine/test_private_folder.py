"""A private folder is its owner's alone, and goes in whichever way its process ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from landscape_compat.engine import private_folder
from landscape_compat.engine.private_folder import PrivateFolder, sweep_leftovers
from landscape_compat.errors import OutputError
from support.killing import KILLED, in_child


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_it_is_there_for_its_owner_and_then_gone(tmp_path: Path) -> None:
    folder = PrivateFolder(tmp_path)
    with closing(folder):
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        (folder.path / "copy").touch()
        assert not folder.closed
    assert folder.closed
    assert list(tmp_path.iterdir()) == []
    folder.close()


def test_it_lies_where_temporary_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with closing(PrivateFolder()) as folder:
        assert folder.path.parent == tmp_path


def test_what_a_killed_process_left_goes_with_the_next(tmp_path: Path) -> None:
    """Its folders as well, but not what they link to."""
    (tmp_path.parent / "kept").touch()

    def die() -> None:
        with closing(PrivateFolder(tmp_path)) as folder:
            (folder.path / "copy").touch()
            (folder.path / "deep" / "deeper").mkdir(parents=True)
            (folder.path / "deep" / "link").symlink_to(tmp_path.parent)
            (folder.path / "link").symlink_to(tmp_path.parent)
            os._exit(KILLED)

    assert in_child(die) == KILLED
    [left] = tmp_path.iterdir()
    with closing(PrivateFolder(tmp_path)) as folder:
        assert list(tmp_path.iterdir()) == [folder.path]
        assert folder.path != left
    assert (tmp_path.parent / "kept").exists()


def test_what_cannot_be_removed_is_told(tmp_path: Path) -> None:
    folder = PrivateFolder(tmp_path)
    folder.path.rename(tmp_path / "moved")
    folder.path.touch()
    with pytest.raises(OutputError, match="could not be removed whole") as caught:
        folder.close()
    assert caught.value.remedy
    assert folder.path.exists()


def test_one_that_somebody_else_swept_is_gone_as_well(tmp_path: Path) -> None:
    folder = PrivateFolder(tmp_path)
    shutil.rmtree(folder.path)
    folder.close()
    assert folder.closed


def test_where_none_can_be_made_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        PrivateFolder(tmp_path / "absent")


def test_sweeping_leaves_what_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "landscape-compat-copy-file").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    (tmp_path / "landscape-compat-copy-link").symlink_to("elsewhere")
    (tmp_path / "landscape-compat-copy-full").mkdir()
    (tmp_path / "landscape-compat-copy-full" / "kept").touch()
    (tmp_path / "landscape-compat-copy-empty").mkdir()
    assert sweep_leftovers(tmp_path) == 1
    assert sorted(str(entry.relative_to(tmp_path)) for entry in tmp_path.rglob("*")) == [
        "elsewhere",
        "elsewhere/kept",
        "landscape-compat-copy-file",
        "landscape-compat-copy-full",
        "landscape-compat-copy-full/kept",
        "landscape-compat-copy-link",
    ]


def test_sweeping_where_nothing_is_does_nothing(tmp_path: Path) -> None:
    assert sweep_leftovers(tmp_path / "absent") == 0


@pytest.mark.parametrize(
    ("module", "step"), [(private_folder, "create_privately"), (fcntl, "flock")]
)
def test_one_that_is_swept_while_it_is_made_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, step: str
) -> None:
    """Before it has a lock, or before that is held, it looks as one that a crash left behind."""
    real, swept = getattr(module, step), list[Path]()

    def meanwhile(*words: Any) -> Any:
        monkeypatch.undo()
        swept.extend(tmp_path.iterdir())
        assert sweep_leftovers(tmp_path) == 1
        return real(*words)

    monkeypatch.setattr(module, step, meanwhile)
    before = descriptors()
    with closing(PrivateFolder(tmp_path)) as folder:
        assert [*tmp_path.iterdir()] == [folder.path]
        assert folder.path not in swept
        assert sweep_leftovers(tmp_path) == 0
        assert descriptors() == before + 1
    assert [*tmp_path.iterdir()] == []
