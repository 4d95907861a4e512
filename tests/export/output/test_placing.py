"""What is made beside its place gets there whole, and what a dead process left there goes."""

from __future__ import annotations

import fcntl
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from landscape_compat import export_bag, open_landscape, verify_bag
from landscape_compat.errors import OutputError
from landscape_compat.export.output import placing
from landscape_compat.export.output.placing import folder_beside, made_beside
from landscape_compat.export.page import write_page
from landscape_compat.export.records.selection import Selection
from landscape_compat.export.single import write_file
from landscape_compat.migrate.migration import migrate_database
from support.killing import KILLED, ended_at_every_step, killed_at
from support.legacy import Written
from support.untouched import untouched


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _beside(place: Path) -> list[str]:
    return sorted(path.name for path in place.parent.iterdir() if path != place)


@pytest.mark.parametrize("name", ["bag", "bag.zip"])
def test_what_a_killed_export_left_goes_with_the_next(
    name: str, legacy: Written, tmp_path: Path
) -> None:
    place = tmp_path / "out" / name
    place.parent.mkdir()

    def export() -> None:
        with open_landscape(legacy.path) as db:
            export_bag(db, place, force=True)

    left = 0
    with untouched(legacy.path):
        for step in (1, 4, 9):
            assert killed_at(step, export) == KILLED
            left += bool(_beside(place))
            assert not place.exists()
        assert left > 1
        export()
    assert _beside(place) == []
    assert verify_bag(place).is_sound


@pytest.mark.parametrize("name", ["bag", "all.jsonl"])
def test_one_that_is_replaced_is_lost_at_no_step(
    name: str, legacy: Written, tmp_path: Path
) -> None:
    """The former or the new one has the place, or the next export gives it back."""
    place = tmp_path / "out" / name
    place.parent.mkdir()

    def export(run: str, *, force: bool = True) -> None:
        with open_landscape(legacy.path) as db:
            selection = Selection(run_ids=(run,))
            if name.endswith("jsonl"):
                write_file(db, place, selection=selection, force=force)
            else:
                export_bag(db, place, selection=selection, force=force, page=False)

    def content() -> dict[str, bytes]:
        files = sorted(place.rglob("*.jsonl")) if place.is_dir() else [place]
        return {file.name: file.read_bytes() for file in files}

    former, new = legacy.run_ids[:2]
    with untouched(legacy.path):
        export(former)
        before = content()
        missing = 0
        for _ in ended_at_every_step(killed_at, lambda: export(new)):
            missing += not place.exists()
            with suppress(OutputError):
                export(former, force=False)
            assert place.exists()
            assert _beside(place) == []
            if content() != before:
                shutil.rmtree(place) if place.is_dir() else place.unlink()
                export(former)
    assert missing == (name == "bag")


def test_what_a_killed_page_or_migration_left_goes_with_the_next(
    legacy: Written, tmp_path: Path
) -> None:
    for name in ("page.html", "new.db"):
        (tmp_path / f".{name}.partial-0123abcd").mkdir()
        (tmp_path / f".{name}.partial-0123abcd" / name).write_text("half")
    with open_landscape(legacy.path) as db:
        write_page(db, tmp_path / "page.html")
    migrate_database(legacy.path, tmp_path / "new.db")
    assert not list(tmp_path.glob(".*.partial-*"))


def test_what_is_not_ours_to_remove_stays(tmp_path: Path) -> None:
    place = tmp_path / "bag"
    kept = [".bag.partial-0123abc", ".bag.partial-0123abcdx", ".other.partial-0123abcd"]
    for name in kept:
        (tmp_path / name).mkdir()
    (tmp_path / ".bag.partial-00000000").symlink_to(tmp_path / kept[0])
    (tmp_path / ".bag.partial-11111111").write_text("a file")
    (tmp_path / ".bag.partial-22222222").mkdir()
    before = set(_beside(place))
    with folder_beside(place):
        pass
    assert before - set(_beside(place)) == {".bag.partial-22222222"}


def test_what_somebody_else_puts_there_meanwhile_stays(tmp_path: Path) -> None:
    """It is refused as if it had been there from the first."""
    place = tmp_path / "bag"

    def make() -> None:
        with made_beside(place, force=False, is_ours=lambda _: True, what="a bag") as partial:
            partial.mkdir()
            place.mkdir()
            (place / "theirs").touch()

    with pytest.raises(OutputError, match="exists already"):
        make()
    assert [path.name for path in place.iterdir()] == ["theirs"]
    assert _beside(place) == []


def test_a_file_that_appeared_in_the_last_moment_was_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last look, and before the move."""
    place, real = tmp_path / "all.jsonl", placing._require_place

    def look(*words: Any, **more: Any) -> None:
        real(*words, **more)
        if (tmp_path / "made").exists():
            place.write_text("theirs")

    def make() -> None:
        with made_beside(place, force=False, is_ours=lambda _: True, what="one") as partial:
            partial.write_text("ours")
            (tmp_path / "made").touch()

    monkeypatch.setattr(placing, "_require_place", look)
    with pytest.raises(OutputError, match="made by somebody else meanwhile"):
        make()
    assert place.read_text() == "theirs"
    assert _beside(place) == ["made"]


def test_what_a_living_process_makes_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "bag"
    with folder_beside(place) as one:
        assert one.stat().st_mode & 0o777 == 0o700
        with folder_beside(place) as other:
            assert one.is_dir()
            assert one != other
    assert _beside(place) == []


def test_one_that_is_swept_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "bag"
    real = fcntl.flock
    taken: list[Path] = []

    def quicker(lock: int, operation: int) -> None:
        # As another process would that has the lock a moment earlier.
        if not taken:
            taken.extend(tmp_path.glob(".bag.partial-*"))
            taken[0].rmdir()
        real(lock, operation)

    monkeypatch.setattr(fcntl, "flock", quicker)
    with folder_beside(place) as folder:
        assert taken != [folder]
        assert folder.is_dir()


def test_one_that_is_swept_before_it_is_opened_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "bag"
    real = os.open
    taken: list[Path] = []

    def quicker(path: Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        # As another process would that looks between making and locking.
        if not taken and ".bag.partial-" in str(path):
            taken.append(path)
            os.rmdir(path)  # noqa: PTH106
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", quicker)
    with folder_beside(place) as folder:
        assert taken
        assert taken != [folder]
        assert folder.is_dir()


def test_where_nothing_can_be_locked_it_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(38, "not implemented")

    monkeypatch.setattr(fcntl, "flock", fails)
    (tmp_path / ".bag.partial-0123abcd").mkdir()
    with folder_beside(tmp_path / "bag") as folder:
        assert folder.is_dir()
    # Whose it is cannot be told.
    assert _beside(tmp_path / "bag") == [".bag.partial-0123abcd"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"), folder_beside(tmp_path / "a" / "b"):
        pass


def test_what_cannot_be_moved_to_its_place_is_told(tmp_path: Path) -> None:
    """Somebody took it away meanwhile."""
    place = tmp_path / "bag"

    def lose() -> None:
        with made_beside(place, force=False, is_ours=lambda _: True, what="a bag") as partial:
            partial.mkdir()
            partial.rmdir()

    with pytest.raises(OutputError, match="bag cannot be written: No such file"):
        lose()
    assert list(tmp_path.iterdir()) == []
