"""A dataset goes only where it may, and is complete only with its statement."""

from __future__ import annotations

import pickle
import shutil
import sqlite3
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from landscape_compat.engine.digests import SourceDigests, digest_source
from landscape_compat.engine.encryption import Passphrase
from landscape_compat.errors import (
    DegradedReadWarning,
    LandscapeCompatError,
    OutputError,
    SourceChangedError,
)
from landscape_compat.export.bag.witness import SourceState
from landscape_compat.export.dataset.dataset import export_dataset
from landscape_compat.export.dataset.target import target_of
from landscape_compat.export.dataset.task import Task, write_partition
from support.datasets import by_arrow, content_of, is_complete, stored_records, texts
from support.legacy import Written
from support.untouched import untouched

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


class Between(Executor):
    """Runs each task at once, after it was sent as to another process, with something between.

    Args:
        action: What happens before each task, given its number.
    """

    def __init__(self, action: Callable[[int], object] = lambda at: None) -> None:
        self._action = action
        self.ran = 0

    def submit(self, fn: Any, /, *args: Any, **more: Any) -> Future[Any]:
        """Run a task."""
        future: Future[Any] = Future()
        try:
            self._action(self.ran)
            self.ran += 1
            future.set_result(fn(*pickle.loads(pickle.dumps(args)), **more))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Give a database of one run."""
    (tmp_path / "record").mkdir()
    path = tmp_path / "record" / "audit.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE runs (run_id TEXT PRIMARY KEY)")
        connection.execute("INSERT INTO runs VALUES ('r')")
        connection.commit()
    return path


def test_a_complete_dataset_is_replaced_only_where_asked_for(
    legacy: Written, tmp_path: Path
) -> None:
    target = tmp_path / "ds"
    export_dataset(legacy.path, target)
    before = content_of(target)
    with pytest.raises(OutputError, match="holds a dataset already"):
        export_dataset(legacy.path, target)
    assert content_of(target) == before
    assert is_complete(target)
    with closing(sqlite3.connect(legacy.path)) as connection:
        connection.execute("DELETE FROM runs WHERE run_id = ?", [legacy.run_ids[-1]])
        connection.commit()
    export_dataset(legacy.path, target, force=True)
    assert set(content_of(target)) < set(before)
    assert texts(r for _, r in by_arrow(target)) == texts(stored_records(legacy.path))


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "x/run=1/part-0.parquet",
        "run/part-9.parquet",
        "_landscape/dataset.json",
    ],
)
def test_what_is_not_an_export_is_never_replaced(
    legacy: Written, tmp_path: Path, name: str
) -> None:
    """Alone, or among the files of one."""
    target = tmp_path / "ds"
    (target / name).parent.mkdir(parents=True)
    (target / name).write_text("mine")
    with pytest.raises(OutputError, match="not an earlier export"):
        export_dataset(legacy.path, target, force=True)
    assert [path.read_text() for path in target.rglob("*") if path.is_file()] == ["mine"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot be written"):
        export_dataset(legacy.path, tmp_path / "file", force=True)
    with pytest.raises(OutputError, match="cannot be written"):
        export_dataset(legacy.path, tmp_path / "none" / "ds")


def test_what_a_killed_export_left_is_replaced(legacy: Written, tmp_path: Path) -> None:
    """It has no statement, and files of another database may be among what it left."""

    target, kept = tmp_path / "ds", tmp_path / "kept"
    seen = []

    def look(at: int) -> None:
        if at == 3:
            seen.append((is_complete(target), set(content_of(target))))
            target.rename(kept)  # so that nothing can be cleared away, as after a kill
            raise KeyboardInterrupt

    with untouched(legacy.path), pytest.raises(KeyboardInterrupt):
        export_dataset(legacy.path, target, executor=Between(look))
    ((complete, names),) = seen
    assert not complete
    assert len(names) > 3
    (kept / "run" / "run=stale").mkdir(parents=True)
    (kept / "run" / "run=stale" / "part-0.parquet").write_bytes(b"of another database")
    (kept / "_landscape" / "partial-x").mkdir()
    (kept / "_landscape" / "partial-x" / "run.parquet").write_bytes(b"PAR1")
    export_dataset(legacy.path, kept)
    assert texts(r for _, r in by_arrow(kept)) == texts(stored_records(legacy.path))
    assert [p.name for p in (kept / "_landscape").iterdir()] == ["dataset.json"]


def test_an_export_that_fails_leaves_nothing(legacy: Written, tmp_path: Path) -> None:
    with closing(sqlite3.connect(legacy.path)) as connection:
        connection.execute("CREATE TABLE mine (number FLOAT)")
        connection.execute("INSERT INTO mine VALUES ('a text')")
        connection.commit()
    with untouched(legacy.path), pytest.raises(OutputError, match=r"mine\.number"):
        export_dataset(legacy.path, tmp_path / "ds")
    assert list((tmp_path / "ds").rglob("*.*")) == []


@pytest.mark.parametrize("last", [False, True])
def test_a_source_that_changes_is_told(legacy: Written, tmp_path: Path, last: bool) -> None:
    """By the task that finds it, or at the end; nothing is left, but a folder that was there."""
    if last:
        (tmp_path / "ds").mkdir()
    written: list[int] = []

    def write(at: int) -> None:
        if at == (len(legacy.run_ids) if last else 2):
            with closing(sqlite3.connect(legacy.path)) as connection:
                connection.execute("UPDATE runs SET status = status || '!'")
                connection.commit()
            written.append(at)

    executor = Between(write)
    with pytest.raises(SourceChangedError, match=r"audit\.db changed"):
        export_dataset(legacy.path, tmp_path / "ds", executor=executor)
    assert written
    assert (tmp_path / "ds").exists() == last
    assert list((tmp_path / "ds").rglob("*")) == []


def after_the_last_task(monkeypatch: pytest.MonkeyPatch, deed: Callable[[], object]) -> None:
    """Have something happen when all is written that belongs to no run."""

    def late(task: Task) -> Any:
        done = write_partition(task)
        if task.run is None:
            deed()
        return done

    monkeypatch.setattr("landscape_compat.export.dataset.running.write_partition", late)


def test_a_source_that_changes_after_the_last_task_is_told(
    legacy: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change() -> None:
        with closing(sqlite3.connect(legacy.path)) as connection, connection:
            connection.execute("UPDATE runs SET status = status || '!'")

    after_the_last_task(monkeypatch, change)
    with pytest.raises(SourceChangedError):
        export_dataset(legacy.path, tmp_path / "ds")
    assert not is_complete(tmp_path / "ds")


def test_two_exports_to_one_place_do_not_both_end_well(legacy: Written, tmp_path: Path) -> None:
    target = tmp_path / "ds"

    def begin_another(at: int) -> None:
        if at == 2:
            (target / "_landscape" / "unfinished").write_bytes(b"another")

    with pytest.raises(OutputError, match="was begun meanwhile"):
        export_dataset(legacy.path, target, executor=Between(begin_another))
    assert not is_complete(target)
    # What is there belongs to the other now.
    assert (target / "_landscape" / "unfinished").read_bytes() == b"another"


def test_a_place_that_not_every_process_reaches_is_told(legacy: Written, tmp_path: Path) -> None:
    """What each has in its own memory, or on its own disk, is not there in the end."""

    def lose(at: int) -> None:
        if at == 2:
            next((tmp_path / "ds").rglob("*.parquet")).unlink()

    with pytest.raises(OutputError, match="does not hold what was written"):
        export_dataset(legacy.path, tmp_path / "ds", executor=Between(lose))
    assert not is_complete(tmp_path / "ds")


def test_a_place_that_is_gone_when_all_is_written_is_told(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_the_last_task(monkeypatch, lambda: shutil.rmtree(tmp_path / "ds"))
    with pytest.raises(OutputError, match="ds cannot be written: No such file"):
        export_dataset(small, tmp_path / "ds")
    assert not (tmp_path / "ds").exists()


def test_it_is_told_once_what_a_database_lacks(
    legacy: Written, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever runs the tasks, also threads of this process."""
    told, events = [], []
    for at, executor in enumerate((None, ThreadPoolExecutor(2))):
        with pytest.warns(DegradedReadWarning) as warned:
            export_dataset(legacy.path, tmp_path / f"ds{at}", executor=executor)
        told.append(sorted(str(one.message) for one in warned))
        events.append(sorted(str(record.args) for record in caplog.records))
        caplog.clear()
        if executor:
            executor.shutdown()
    assert told[0] == told[1]
    assert events[0] == events[1]
    assert len(set(told[0])) == len(told[0]) > 1
    assert len(set(events[0])) == len(events[0]) > 1
    assert content_of(tmp_path / "ds0") == content_of(tmp_path / "ds1")


def test_what_somebody_saved_there_meanwhile_went_with_a_dataset_that_failed(
    small: Path, tmp_path: Path
) -> None:
    target = tmp_path / "ds"

    def save(_: int) -> None:
        (target / "thesis.txt").write_text("mine")

    with pytest.raises(OutputError, match=r"thesis\.txt"):
        export_dataset(small, target, executor=Between(save))
    assert [p.name for p in target.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("scheme", ["file", "memory", "plain"])
def test_other_places(
    legacy: Written, tmp_path: Path, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same files are there as in a folder; a file system that shows half a file shows none."""
    fsspec = pytest.importorskip("fsspec")
    place = tmp_path / "a place"
    export_dataset(legacy.path, tmp_path / "folder")
    expected = content_of(tmp_path / "folder")
    if scheme == "file":
        made = export_dataset(legacy.path, f"file://{place}")
        assert content_of(place) == expected
        assert made.place == str(place)
        return
    if scheme == "plain":
        # As SFTP is: a file is seen before it is whole, and is moved in one step.
        monkeypatch.setattr("landscape_compat.export.dataset.remote._WHOLE_OR_NOT", frozenset())
    url = f"memory://user:hunter2@host/{tmp_path.name}/{scheme}"
    made = export_dataset(legacy.path, url)
    system, root = fsspec.core.url_to_fs(url)
    found = {
        name.removeprefix(root).lstrip("/"): system.cat_file(name) for name in system.find(root)
    }
    assert found.pop("_landscape/dataset.json").startswith(b'{"_type"')
    assert found == expected
    assert "hunter2" not in repr(made)
    with pytest.raises(OutputError, match="holds a dataset already") as caught:
        export_dataset(legacy.path, url)
    assert "hunter2" not in str(caught.value)
    export_dataset(legacy.path, url, force=True)


@pytest.mark.parametrize("call", ["find", "cat_file", "put_file", "rm_file"])
def test_what_a_place_refuses_is_told_without_its_secret(
    small: Path, tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = pytest.importorskip("fsspec.implementations.memory")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Access Denied")

    monkeypatch.setattr(memory.MemoryFileSystem, call, refused)
    url = f"memory://user:hunter2@host/{tmp_path.name}/ds"
    with pytest.raises(OutputError) as caught:
        export_dataset(small, url)
    told = f"memory://host/{tmp_path.name}/ds cannot be read or written (PermissionError: Access"
    assert caught.value.reason.startswith(told)
    assert caught.value.remedy


class AnyError(Exception):
    """As the packages for some stores raise: none of Python's for what a system refuses."""


@pytest.mark.parametrize("call", ["find", "cat_file", "put_file", "rm_file"])
def test_an_error_of_a_stores_own_was_raised_with_its_secret(
    small: Path, tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = pytest.importorskip("fsspec.implementations.memory")
    url = f"memory://user:hunter2@host/{tmp_path.name}/ds"
    if call == "cat_file":
        export_dataset(small, url)

    def refused(*_: object, **__: object) -> None:
        raise AnyError(f"GET {url}: 503")

    monkeypatch.setattr(memory.MemoryFileSystem, call, refused)
    with pytest.raises(OutputError) as caught:
        export_dataset(small, url, force=True)
    assert "(AnyError)" in caught.value.reason
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("size", [{"size": None}, {}])
@pytest.mark.parametrize("asked", [True, False])
def test_a_store_that_tells_no_sizes_ended_in_a_traceback(
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: dict[str, None],
    asked: bool,
) -> None:
    """In its listing, or not even where it is asked for one; then what it holds is counted."""
    memory = pytest.importorskip("fsspec.implementations.memory")
    real = {name: getattr(memory.MemoryFileSystem, name) for name in ("find", "info")}

    def without(told: Any) -> Any:
        return {**{key: value for key, value in told.items() if key != "size"}, **size}

    def find(self: Any, path: str, **more: Any) -> Any:
        found = real["find"](self, path, **more)
        if not more.get("detail"):
            return found
        return {name: without(one) for name, one in found.items()}

    def info(self: Any, path: str, **more: Any) -> Any:
        told = real["info"](self, path, **more)
        return told if asked else without(told)

    monkeypatch.setattr(memory.MemoryFileSystem, "find", find)
    monkeypatch.setattr(memory.MemoryFileSystem, "info", info)
    url = f"memory://user:hunter2@host/{tmp_path.name}/ds"
    export_dataset(small, url)
    made = export_dataset(small, url, force=True)
    assert made.records == {"run": 1}
    found = target_of(url, {}).sizes()
    assert {file.name: file.size for file in made.files}.items() <= found.items()

    def refused(*_: object, **__: object) -> None:
        raise AnyError(f"GET {url}: 503")

    monkeypatch.setattr(memory.MemoryFileSystem, "info" if asked else "cat_file", refused)
    with pytest.raises(OutputError, match=r"cannot be read or written \(AnyError\)") as caught:
        target_of(url, {}).sizes()
    assert "hunter2" not in str(caught.value)
    monkeypatch.undo()
    assert target_of(url, {}).sizes() == found


@pytest.mark.parametrize("refuses", [True, False])
def test_where_a_taken_name_is_not_renamed_to_what_was_killed_kept_its_place_for_ever(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: bool
) -> None:
    """SMB says so, and WebHDFS says nothing."""
    memory = pytest.importorskip("fsspec.implementations.memory")
    real = memory.MemoryFileSystem.mv

    def mv(self: Any, path: str, new: str, **more: Any) -> None:
        if not self.exists(new):
            real(self, path, new, **more)
        elif refuses:
            raise FileExistsError(17, "File exists", new)

    monkeypatch.setattr("landscape_compat.export.dataset.remote._WHOLE_OR_NOT", frozenset())
    monkeypatch.setattr(memory.MemoryFileSystem, "mv", mv)
    url = f"memory://{tmp_path.name}/ds"
    system, root = pytest.importorskip("fsspec").core.url_to_fs(url)
    system.pipe_file(f"{root}/_landscape/unfinished", b"0" * 32)
    assert export_dataset(small, url).records == {"run": 1}
    assert [name for name in target_of(url, {}).sizes() if name.startswith("_landscape/")] == [
        "_landscape/dataset.json"
    ]


def test_what_cannot_be_renamed_has_no_place(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent goes, and what failed is told without a secret; then there may be another."""
    memory = pytest.importorskip("fsspec.implementations.memory")
    real = memory.MemoryFileSystem.mv

    def mv(self: Any, path: str, new: str, **more: Any) -> None:
        if new.endswith(".parquet"):
            raise PermissionError(13, "Access Denied", new)
        real(self, path, new, **more)

    monkeypatch.setattr("landscape_compat.export.dataset.remote._WHOLE_OR_NOT", frozenset())
    url = f"memory://user:hunter2@host/{tmp_path.name}/ds"
    with monkeypatch.context() as patch, untouched(small):
        patch.setattr(memory.MemoryFileSystem, "mv", mv)
        with pytest.raises(OutputError, match="PermissionError: Access Denied") as caught:
            export_dataset(small, url)
    assert "hunter2" not in str(caught.value)
    assert target_of(url, {}).sizes() == {}
    assert export_dataset(small, url).records == {"run": 1}


def test_a_folder_of_what_was_killed_before_it_wrote_was_left(small: Path, tmp_path: Path) -> None:
    left = tmp_path / "ds" / "_landscape"
    (left / "partial-00000000").mkdir(parents=True)
    (left / "unfinished").write_bytes(b"0" * 32)
    export_dataset(small, tmp_path / "ds")
    assert [path.name for path in left.iterdir()] == ["dataset.json"]


def test_a_place_that_is_only_there_with_its_first_file(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some stores find nothing there, and others say that there is no such place."""
    memory = pytest.importorskip("fsspec.implementations.memory")
    real = memory.MemoryFileSystem.find

    def strict(self: Any, path: str, **more: Any) -> Any:
        if found := real(self, path, **more):
            return found
        raise FileNotFoundError(path)

    monkeypatch.setattr(memory.MemoryFileSystem, "find", strict)
    made = export_dataset(small, f"memory://{tmp_path.name}/ds")
    assert made.records == {"run": 1}


@pytest.mark.parametrize(
    ("module", "url", "what", "remedy"),
    [
        ("fsspec", "memory://host/ds", "A target that is no folder needs a package", "[remote]"),
        ("s3fs", "s3://me:hunter2@host/ds", "s3://host/ds needs a package", "beside fsspec"),
        ("", "nowhere://me:hunter2@host/ds", "nowhere://host/ds is not a place", "s3://"),
    ],
)
def test_a_place_that_nothing_here_reaches_is_told_without_its_secret(
    small: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    url: str,
    what: str,
    remedy: str,
) -> None:
    pytest.importorskip("fsspec")
    if module:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LandscapeCompatError) as caught:
        export_dataset(small, url)
    assert caught.value.reason.startswith(what)
    assert remedy in str(caught.value.remedy)
    assert "hunter2" not in str(caught.value)


def test_no_secret_is_in_what_a_scheduler_logs(tmp_path: Path) -> None:
    task = Task(
        database=make_url("postgresql://me:secret@host/db?password=secret"),
        run_id="r",
        target=target_of("ftp://me:secret@host/ds?key=secret", {"password": "secret"}),
        key="run",
        expected=SourceState(()),
        passphrase=Passphrase("secret"),
    )
    assert "secret" not in repr(task)
    assert "secret" not in task.target.place
    assert pickle.loads(pickle.dumps(task)) == task


def test_a_database_is_digested_once_a_process(
    legacy: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And again only when a stamp of it says that it changed."""
    calls: list[Path] = []

    def counted(path: Path) -> SourceDigests:
        calls.append(path)
        return digest_source(path)

    monkeypatch.setattr("landscape_compat.export.dataset.task.digest_source", counted)
    export_dataset(legacy.path, tmp_path / "one")
    export_dataset(legacy.path, tmp_path / "two")
    assert len(calls) == 1
