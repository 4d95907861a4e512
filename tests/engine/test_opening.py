"""A SQLite file is opened so that every committed row is seen whole and nothing is left behind."""

from __future__ import annotations

import itertools
import os
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from landscape_compat.engine import classify, opening
from landscape_compat.engine.opening import Opening, open_readonly
from landscape_compat.engine.stamps import Stamp, Stamps
from landscape_compat.engine.states import (
    REFUSALS,
    STATES,
    Facts,
    Journal,
    Lock,
    Refusal,
    State,
    Wal,
    Way,
    state_of,
)
from landscape_compat.errors import OpeningRefusedError, SourceChangedError
from support import wal
from support.wal import EXPECTED, NEW, OLD, left_alone, make_database, make_state

WAYS = {state.name: state.way for state in STATES}
COPIED = [name for name, state in EXPECTED.items() if WAYS[state] is Way.PRIVATE_COPY]
IN_PLACE = [name for name in EXPECTED if name not in COPIED]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a database in a folder of its own."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder / "audit.db"


def opening_of(path: Path) -> Opening:
    """Open a database, close it, and tell how it was opened."""
    connection, found = open_readonly(path, wal.connect)
    connection.close()
    found.close()
    return found


def _names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_every_state_that_can_be_made_is_expected_here() -> None:
    assert EXPECTED.keys() == wal.STATES.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_committed_rows_are_seen_and_nothing_is_touched(name: str, path: Path) -> None:
    with make_state(name, path) as truth, left_alone(path):
        seen = wal.read(path)
        assert seen.answer == truth
        assert (seen.state, seen.way) == (EXPECTED[name], WAYS[EXPECTED[name]])


@pytest.mark.parametrize("name", EXPECTED)
def test_how_it_is_opened_has_a_reason(name: str, path: Path) -> None:
    with make_state(name, path), left_alone(path):
        opening = opening_of(path)
        assert opening.reason == next(s.reason for s in STATES if s.name == EXPECTED[name])
        assert state_of(opening.facts).name == EXPECTED[name]
        assert (opening.copy is None) == (name not in COPIED)


@pytest.mark.parametrize("name", COPIED)
def test_what_needs_a_copy_is_refused_without_one(name: str, path: Path) -> None:
    with (
        make_state(name, path),
        left_alone(path),
        pytest.raises(OpeningRefusedError, match="copying was not allowed") as caught,
    ):
        wal.read(path, allow_copy=False)
    assert caught.value.remedy


@pytest.mark.parametrize("name", IN_PLACE)
def test_what_needs_no_copy_is_read_without_one(name: str, path: Path) -> None:
    with make_state(name, path) as truth, left_alone(path):
        assert wal.read(path, allow_copy=False).answer == truth


@pytest.mark.parametrize("name", wal.LIVE_STATES)
def test_what_a_writer_keeps_to_itself_is_refused(name: str, path: Path) -> None:
    with (
        make_state(name, path),
        left_alone(path),
        pytest.raises(OpeningRefusedError, match="is in use"),
    ):
        wal.read(path)


# Permissions ----------------------------------------------------------------------------------

PERMISSIONS = {
    "as they are": (0o644, 0o777),
    "read-only file": (0o444, 0o777),
    "read-only folder": (0o644, 0o555),
    "read-only both": (0o444, 0o555),
}


@pytest.mark.parametrize("owner", ["own", "foreign"])
@pytest.mark.parametrize("permission", PERMISSIONS)
def test_permissions_change_nothing(permission: str, owner: str) -> None:
    of_file, of_folder = PERMISSIONS[permission]
    with wal.open_folder() as folder, ExitStack() as stack:
        paths = {name: folder / name / "audit.db" for name in EXPECTED}
        truths = {}
        for name, path in paths.items():
            path.parent.mkdir()
            truths[name] = stack.enter_context(make_state(name, path))
            for file in path.parent.iterdir():
                if owner == "own" and os.geteuid() == 0:
                    os.chown(file, 65534, 65534)
                file.chmod(of_file)
            path.parent.chmod(of_folder)
        for path in paths.values():
            stack.enter_context(left_alone(path))
        found = dict(zip(paths, wal.read_as_nobody(*paths.values()), strict=True))
        assert found == {
            name: [WAYS[state], state, list(truths[name])] for name, state in EXPECTED.items()
        }


@pytest.mark.parametrize(
    ("name", "hidden", "refused"),
    [
        ("rollback", "", "unreadable"),
        ("wal_frames", "-wal", "unreadable-sidecar"),
        ("journal_hot", "-journal", "unreadable-sidecar"),
    ],
)
def test_what_cannot_be_read_is_refused(name: str, hidden: str, refused: str) -> None:
    with wal.open_folder() as folder:
        path = folder / "audit.db"
        with make_state(name, path):
            Path(f"{path}{hidden}").chmod(0)
            before = sorted((file.name, file.stat().st_mtime_ns) for file in folder.iterdir())
            [[kind, message]] = wal.read_as_nobody(path)
            assert kind == "OpeningRefusedError"
            assert REFUSALS[refused].reason in message
            after = sorted((file.name, file.stat().st_mtime_ns) for file in folder.iterdir())
            assert before == after


def test_a_shm_that_cannot_be_read_is_done_without() -> None:
    with wal.open_folder() as folder:
        path = folder / "audit.db"
        with make_state("wal_frames", path) as truth:
            Path(f"{path}-shm").chmod(0)
            assert wal.read_as_nobody(path) == [["private-copy", "wal-without-shm", list(truth)]]


@pytest.mark.parametrize(
    ("name", "state"),
    [("wal_frames", "wal-other-owner"), ("journal_persist", "rollback-other-owner")],
)
def test_sidecars_keep_their_owner_when_read_as_root(name: str, state: str, path: Path) -> None:
    with make_state(name, path) as truth:
        if os.geteuid() == 0:
            for suffix in ("-wal", "-shm", "-journal"):
                if os.path.lexists(f"{path}{suffix}"):
                    os.chown(f"{path}{suffix}", 65534, 65534)
        owners = [(file.name, file.stat().st_uid) for file in path.parent.iterdir()]
        with left_alone(path):
            seen = wal.read(path)
        assert seen.answer == truth
        assert seen.state == (state if os.geteuid() == 0 else EXPECTED[name])
        assert [(file.name, file.stat().st_uid) for file in path.parent.iterdir()] == owners


# Names ----------------------------------------------------------------------------------------

ODD_NAMES = [
    "with spaces.db",
    "what?.db",
    "100%.db",
    "%41.db",
    "a#b.db",
    "a&mode=rw.db",
    "a?mode=rw&x=.db",
    "semi;colon.db",
    "quo'te\".db",
    "back\\slash.db",
    "new\nline.db",
    "tab\tand\x1bescape.db",
    "Größe \u6f22\u5b57 \U0001f642 \u202ebd.db",
    os.fsdecode(b"not \xff utf-8.db"),
    ":memory:",
    "file:x.db",
    "-dash.db",
    "n" * 240 + ".db",
]


@pytest.mark.parametrize("state", ["rollback", "wal_clean", "wal_frames", "journal_hot"])
@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_opened_as_any_other(name: str, state: str, path: Path) -> None:
    odd = path.with_name(name)
    with make_state(state, path) as truth:
        for file in list(path.parent.iterdir()):
            file.rename(file.with_name(file.name.replace(path.name, name)))
        with left_alone(odd):
            seen = wal.read(odd)
        assert (seen.way, seen.answer) == (WAYS[EXPECTED[state]], truth)


@pytest.mark.parametrize("state", ["rollback", "wal_clean", "wal_frames", "journal_hot"])
@pytest.mark.parametrize(("length", "fits"), [(504, True), (505, False), (1500, False)])
def test_a_path_longer_than_sqlite_opens_is_copied(
    state: str, length: int, fits: bool, path: Path
) -> None:
    folder = path.parent
    while length - len(str(folder)) > 251:
        folder /= "d" * 100
    folder.mkdir(parents=True, exist_ok=True)
    name = "f" * (length - len(str(folder)) - 1)
    with make_state(state, path) as truth:
        for file in [file for file in path.parent.iterdir() if file.is_file()]:
            file.rename(folder / file.name.replace(path.name, name))
        long = folder / name
        assert len(str(long)) == length
        with left_alone(long):
            seen = wal.read(long)
        assert seen.answer == truth
        assert seen.state == (EXPECTED[state] if fits else "long-path")


def test_two_slashes_at_the_start_are_no_host(path: Path) -> None:
    make_database(path)
    assert wal.read(Path(f"/{path}")).answer == OLD


@pytest.mark.parametrize("state", EXPECTED)
def test_a_symlink_leads_to_the_file_and_what_lies_beside_it(state: str, path: Path) -> None:
    elsewhere = path.parent.parent / "links"
    elsewhere.mkdir()
    (elsewhere / "first.db").symlink_to(path)
    (elsewhere / "second.db").symlink_to("first.db")
    with make_state(state, path) as truth, left_alone(path):
        seen = wal.read(elsewhere / "second.db")
        assert (seen.answer, seen.state) == (truth, EXPECTED[state])
    assert _names(elsewhere) == ["first.db", "second.db"]


def test_a_relative_path_is_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_database(path)
    monkeypatch.chdir(path.parent)
    opening = opening_of(Path(path.name))
    monkeypatch.chdir("/")
    assert opening.path == path
    opening.check()


# Refusals -------------------------------------------------------------------------------------


def _header(path: Path, offset: int, value: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(value)


def _database(change: Callable[[Path], object], mode: str = "delete") -> Callable[[Path], object]:
    def make(path: Path) -> None:
        make_database(path, mode)
        change(path)

    return make


def _cut(size: int) -> Callable[[Path], object]:
    return lambda path: os.truncate(path, path.stat().st_size - size)


def _foreign_wal(path: Path) -> None:
    with make_state("wal_frames", path):
        other = path.with_name("other.db")
        connection = sqlite3.connect(other)
        connection.execute("PRAGMA page_size = 1024")
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE t (x)")
        connection.commit()
        content = Path(f"{other}-wal").read_bytes()
        connection.close()
    Path(f"{path}-wal").write_bytes(content)


def _bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


REFUSED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "nothing there": ("absent", lambda path: None),
    "dangling symlink": ("absent", lambda path: path.symlink_to("nowhere")),
    "symlink loop": ("unreachable", lambda path: path.symlink_to(path.name)),
    "folder": ("folder", lambda path: path.mkdir()),
    "pipe": ("special", os.mkfifo),
    "device": ("special", lambda path: path.symlink_to("/dev/zero")),
    "null device": ("special", lambda path: path.symlink_to("/dev/null")),
    "socket": ("special", _bind),
    "hard link": (
        "hard-linked",
        _database(lambda path: path.with_name("other").hardlink_to(path)),
    ),
    "empty": ("empty", lambda path: path.touch()),
    "one byte": ("not-a-database", lambda path: path.write_bytes(b"S")),
    "text": ("not-a-database", lambda path: path.write_text("run_id,row_id\n" * 512)),
    "zip of odd size": ("not-a-database", lambda path: path.write_bytes(b"PK\3\4" * 1001)),
    "random pages": ("encrypted", lambda path: path.write_bytes(bytes(range(256)) * 64)),
    "magic alone": ("truncated", lambda path: path.write_bytes(b"SQLite format 3\0")),
    "one byte short": ("truncated", _database(_cut(1))),
    "one page short": ("truncated", _database(_cut(4096))),
    "half gone": ("truncated", _database(_cut(80_000))),
    "half gone of a WAL database": ("truncated", _database(_cut(80_000), "wal")),
    "format 3": ("format", _database(lambda path: _header(path, 18, b"\3\3"))),
    "format 0": ("format", _database(lambda path: _header(path, 18, b"\0\0"))),
    "page size 3": ("format", _database(lambda path: _header(path, 16, b"\0\3"))),
    "page size 1000": ("format", _database(lambda path: _header(path, 16, b"\3\xe8"))),
    "pipe for a -wal": (
        "odd-sidecar",
        _database(lambda path: os.mkfifo(f"{path}-wal"), "wal"),
    ),
    "pipe for a -journal": (
        "odd-sidecar",
        _database(lambda path: os.mkfifo(f"{path}-journal")),
    ),
    "symlink for a -wal": (
        "odd-sidecar",
        _database(lambda path: Path(f"{path}-wal").symlink_to("/dev/zero"), "wal"),
    ),
    "folder for a -shm": (
        "odd-sidecar",
        _database(lambda path: Path(f"{path}-shm").mkdir(), "wal"),
    ),
    "-wal of another database": ("foreign-wal", _foreign_wal),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_opened_safely_is_refused_with_reason_and_remedy(
    case: str, path: Path
) -> None:
    name, make = REFUSED[case]
    make(path)
    before = _stats(path.parent)
    with pytest.raises(OpeningRefusedError) as caught:
        wal.read(path)
    assert REFUSALS[name].reason in caught.value.reason
    assert caught.value.remedy == REFUSALS[name].remedy
    assert "\n" not in str(caught.value)
    assert _stats(path.parent) == before


def _stats(folder: Path) -> list[tuple[str, int, int]]:
    # Not `left_alone`: hashing a pipe would wait for ever.
    return sorted(
        (file.name, file.lstat().st_mtime_ns, file.lstat().st_size) for file in folder.iterdir()
    )


def test_a_symlink_that_leads_nowhere_is_told_as_one(path: Path) -> None:
    path.symlink_to("nowhere")
    with pytest.raises(OpeningRefusedError, match=r"does not exist \(a symlink leads nowhere\)"):
        opening_of(path)


@pytest.mark.parametrize("odd", ["nul\0.db", "x" * 300, "\ud800.db"])
def test_a_name_that_no_file_can_have_is_refused(odd: str, path: Path) -> None:
    with pytest.raises(OpeningRefusedError):
        opening_of(path.with_name(odd))


def test_a_file_below_a_file_is_refused(path: Path) -> None:
    make_database(path)
    with pytest.raises(OpeningRefusedError, match="cannot be reached"):
        opening_of(path / "audit.db")


def test_a_message_shows_an_odd_path_on_one_line(path: Path) -> None:
    odd = path.with_name("a\nb\x1b[31m\u202e\udcff.db")
    with pytest.raises(OpeningRefusedError) as caught:
        opening_of(odd)
    assert "a\\nb\\x1b[31m\\u202e\\udcff.db does not exist" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_page_count_that_an_old_sqlite_left_stale_does_not_count(path: Path) -> None:
    """A writer before 3.7.0 moves the change counter, not the count nor what it is valid for."""
    make_database(path)
    _header(path, 24, struct.pack(">I", 999))
    _header(path, 28, struct.pack(">I", 4_000_000))
    with left_alone(path):
        assert wal.read(path).answer == OLD


def test_a_wal_whose_header_does_not_add_up_is_damaged(path: Path) -> None:
    """SQLite takes it for none, so what it holds was never committed."""
    with make_state("wal_frames", path):
        _header(Path(f"{path}-wal"), 24, bytes(4))
        with left_alone(path):
            seen = wal.read(path)
    assert (seen.state, seen.answer) == ("wal-damaged", OLD)


def test_bytes_behind_the_last_page_are_no_damage(path: Path) -> None:
    make_database(path)
    with path.open("ab") as file:
        file.write(b"\0" * 5000)
    assert wal.read(path).answer == OLD


def test_a_file_that_waits_for_its_wal_is_not_truncated(path: Path) -> None:
    """A writer killed while it moved the -wal into the file leaves a header ahead of the file."""
    make_database(path, "wal")
    with wal.writing(path) as writer:
        writer.run(
            "PRAGMA wal_autocheckpoint = 0", "INSERT INTO t SELECT id + 600, word, fill FROM t"
        )
    pages = path.stat().st_size // 4096
    _header(path, 28, struct.pack(">I", 2 * pages))
    _header(path, 92, path.read_bytes()[24:28])
    with left_alone(path):
        assert wal.read(path).answer == (1200, 1, "old")


def test_a_broken_database_is_refused_in_the_drivers_words(path: Path) -> None:
    make_database(path)
    _header(path, 21, b"\1")  # the largest fraction of a page that an index entry may take
    with left_alone(path), pytest.raises(OpeningRefusedError, match="file is not a database"):
        wal.read(path)


def test_more_databases_than_a_process_may_read_are_refused(tmp_path: Path) -> None:
    """As long as somebody reads them; the process keeps a descriptor of each."""
    paths = [tmp_path / f"{number}.db" for number in range(11)]
    for each in paths:
        with closing(sqlite3.connect(each)) as connection:
            connection.execute("CREATE TABLE t (id)")
    code = """
reading, said = [], ""
for path in paths:
    try:
        reading.append(open_readonly(path, wal.connect)[0])
    except LandscapeCompatError as error:
        said = str(error)
    else:
        reading[-1].execute("BEGIN")
        reading[-1].execute("SELECT * FROM t").fetchall()
for connection in reading:
    connection.close()
print(json.dumps([len(reading), said]))
"""
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\n"
    read, said = wal.run_child(code, *paths, before=few)
    assert read == 10
    assert said.startswith(f"{paths[10]} cannot be reached (this process reads too many databases")


def test_an_error_that_is_not_the_databases_is_passed_on(path: Path) -> None:
    make_database(path)

    def connect(uri: str) -> sqlite3.Connection:
        raise KeyError(uri)

    with pytest.raises(KeyError):
        open_readonly(path, connect)


# Races ----------------------------------------------------------------------------------------


class Meddler:
    """Connect, but have somebody do something to the database each time before that."""

    def __init__(self, *deeds: Callable[[], object]) -> None:
        self.deeds = deeds
        self.calls = 0
        self.connections: list[sqlite3.Connection] = []

    def __call__(self, uri: str) -> sqlite3.Connection:
        if self.calls < len(self.deeds):
            self.deeds[self.calls]()
        self.calls += 1
        self.connections.append(wal.connect(uri))
        return self.connections[-1]


def _is_closed(connection: sqlite3.Connection) -> bool:
    try:
        connection.total_changes  # noqa: B018
    except sqlite3.ProgrammingError:
        return True
    return False


@pytest.fixture
def writer(path: Path) -> Iterator[Callable[..., wal.Writer]]:
    """Start writers that end with the test."""
    writers: list[wal.Writer] = []

    def start(*statements: str) -> wal.Writer:
        writers.append(wal.Writer(path))
        writers[-1].run(*statements)
        return writers[-1]

    yield start
    for each in writers:
        each.kill()


UPDATE = "UPDATE t SET word = 'newer'"
NEWER = (600, 1, "newer")
HALF = ("PRAGMA cache_size = 5", "BEGIN", "UPDATE t SET word = 'torn' WHERE id < 300")
RACES = {
    "a writer comes": ("wal_clean", (UPDATE,), "", Way.READ_ONLY_SHM, NEWER),
    "a writer comes and goes": ("wal_clean", (UPDATE,), "close", Way.IMMUTABLE, NEWER),
    "a writer comes and dies": ("wal_clean", (UPDATE,), "kill", Way.READ_ONLY_SHM, NEWER),
    "a writer dies in a transaction": ("rollback", HALF, "kill", Way.PRIVATE_COPY, OLD),
    "a writer commits": ("rollback", (UPDATE,), "close", Way.READ_ONLY, NEWER),
    "a writer moves the WAL away": ("wal_frames", (UPDATE,), "close", Way.READ_ONLY_SHM, NEWER),
    "a writer repairs while it is copied": (
        "journal_hot",
        (UPDATE,),
        "close",
        Way.READ_ONLY,
        NEWER,
    ),
    "a writer opens what is copied": (
        "wal_frames_without_shm",
        (UPDATE,),
        "",
        Way.READ_ONLY_SHM,
        NEWER,
    ),
}


@pytest.mark.parametrize("race", RACES)
def test_a_writer_between_choice_and_first_read_costs_another_look(
    race: str, path: Path, writer: Callable[..., wal.Writer]
) -> None:
    name, statements, end, way, truth = RACES[race]

    def deed() -> None:
        started = writer(*statements)
        if end:
            getattr(started, end)()

    with make_state(name, path):
        meddler = Meddler(deed)
        connection, opening = open_readonly(path, meddler)
        assert (opening.way, wal.answer_of(connection)) == (way, truth)
        opening.check()
        connection.close()
        opening.close()
        assert all(map(_is_closed, meddler.connections))


def test_a_file_that_keeps_changing_is_refused_after_five_looks(path: Path) -> None:
    make_database(path, "wal")
    meddler = Meddler(*[lambda: os.utime(path)] * 99)
    with pytest.raises(OpeningRefusedError, match="kept changing"):
        open_readonly(path, meddler)
    assert 1 <= meddler.calls <= 5
    assert all(map(_is_closed, meddler.connections))


def test_damage_that_was_a_change_costs_another_look(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Header and size are read one after the other, and a commit may come between."""
    make_database(path)
    looks = []

    def look(*words: Any, **more: Any) -> Facts | Refusal:
        looks.append(words)
        if len(looks) > 1:
            return classify.look(*words, **more)
        os.utime(path)
        return REFUSALS["truncated"]

    monkeypatch.setattr(opening, "look", look)
    assert opening_of(path).state == "rollback"
    assert len(looks) == 2


@pytest.mark.parametrize("deed", ["replace", "unlink"])
def test_a_file_that_goes_while_it_is_looked_at_is_looked_at_again(
    deed: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_database(path)
    deeds = [_replace if deed == "replace" else Path.unlink]

    def look(*words: Any, **more: Any) -> Facts | Refusal:
        if deeds:
            deeds.pop()(path)
        return classify.look(*words, **more)

    monkeypatch.setattr(opening, "look", look)
    if deed == "replace":
        assert opening_of(path).state == "rollback"
    else:
        with pytest.raises(OpeningRefusedError, match="does not exist"):
            opening_of(path)
    assert not deeds


def _once_chosen(monkeypatch: pytest.MonkeyPatch, *deeds: Callable[[], object]) -> None:
    """Have something happen to the database between the choice and the opening, each time."""
    left = list(deeds)

    def chosen(facts: Facts) -> State:
        if left:
            left.pop(0)()
        return state_of(facts)

    monkeypatch.setattr(opening, "state_of", chosen)


@pytest.mark.parametrize(
    ("gone", "seen"),
    [
        (("-shm",), wal.Seen("private-copy", "wal-without-shm", NEW)),
        # SQLite would leave an empty -wal behind.
        (("-wal", "-shm"), wal.Seen("immutable", "wal-clean", OLD)),
    ],
)
def test_sidecars_that_go_between_choice_and_opening(
    gone: tuple[str, ...], seen: wal.Seen, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_state("wal_frames", path):
        beside = [Path(f"{path}{suffix}") for suffix in gone]
        _once_chosen(monkeypatch, lambda: list(map(Path.unlink, beside)))
        assert wal.read(path) == seen
        left = {"audit.db", "audit.db-wal", "audit.db-shm"} - {f"audit.db{each}" for each in gone}
        assert _names(path.parent) == sorted(left)


def test_a_writer_that_has_the_file_to_himself_between_choice_and_opening(
    path: Path, writer: Callable[..., wal.Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_state("wal_frames", path):
        live: list[wal.Writer] = []
        _once_chosen(
            monkeypatch,
            lambda: live.append(writer("PRAGMA locking_mode = EXCLUSIVE", UPDATE)),
            lambda: live[0].close(),
        )
        assert wal.read(path) == wal.Seen("immutable", "wal-clean", NEWER)


def test_a_file_that_goes_between_choice_and_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_state("journal_hot", path):
        _once_chosen(monkeypatch, path.unlink)
        with pytest.raises(OpeningRefusedError, match="does not exist"):
            wal.read(path)


def test_the_pinned_sidecars_are_let_go_again(
    path: Path, writer: Callable[..., wal.Writer]
) -> None:
    """Once our connection is closed, the last writer to close can tidy up as ever."""
    make_database(path, "wal")
    live = writer(UPDATE)
    connection, opening = open_readonly(path, wal.connect)
    assert opening.way is Way.READ_ONLY_SHM
    assert wal.answer_of(connection) == NEWER
    connection.close()
    live.close()
    assert _names(path.parent) == ["audit.db"]


def test_a_copy_serves_again_until_its_source_changes(path: Path) -> None:
    with make_state("wal_frames_without_shm", path):
        first, opening = open_readonly(path, wal.connect)
        second, again = open_readonly(path, wal.connect, reuse=opening)
        assert again is opening
        assert wal.answer_of(second) == NEW
        os.utime(f"{path}-wal")
        third, fresh = open_readonly(path, wal.connect, reuse=opening)
        assert fresh.copy is not None
        assert fresh.copy is not opening.copy
        opening.close()
        with open_readonly(path, wal.connect, reuse=opening)[0] as fourth:
            assert wal.answer_of(fourth) == NEW
        for connection in (first, second, third, fourth):
            connection.close()
        fresh.close()


class _OtherDriverError(Exception):
    pass


class DatabaseError(_OtherDriverError):
    """An error as of a driver that gives no codes."""


def test_a_driver_without_error_codes_is_understood_by_its_words(path: Path) -> None:
    with make_state("journal_exclusive", path):

        def connect(uri: str) -> sqlite3.Connection:
            connection = wal.connect(uri)
            try:
                connection.execute("PRAGMA schema_version")
            except sqlite3.Error as error:
                raise DatabaseError(str(error)) from None
            finally:
                connection.close()
            raise AssertionError

        with left_alone(path), pytest.raises(OpeningRefusedError, match="is in use"):
            open_readonly(path, connect)


# The guard ------------------------------------------------------------------------------------


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def _write_secretly(path: Path) -> None:
    stat = path.stat()
    _header(path, 60, b"\1")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


CHANGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "replaced, rollback": ("rollback", _replace),
    "replaced, WAL": ("wal_clean", _replace),
    "replaced, frames": ("wal_frames", _replace),
    "replaced, copied": ("wal_frames_without_shm", _replace),
    "deleted": ("rollback", lambda path: path.unlink()),
    "touched, WAL": ("wal_clean", lambda path: os.utime(path)),
    "written, mtime put back": (
        "wal_clean",
        _write_secretly,
    ),
    "frames came": ("wal_clean", lambda path: Path(f"{path}-wal").write_bytes(b"frames")),
    "journal came": ("wal_clean", lambda path: Path(f"{path}-journal").write_bytes(b"x")),
    "WAL mode came": ("rollback", lambda path: _header(path, 18, b"\2\2")),
    "-wal came": ("rollback", lambda path: Path(f"{path}-wal").touch()),
    "-wal went": ("wal_frames", lambda path: Path(f"{path}-wal").unlink()),
    "-wal replaced": ("wal_frames", lambda path: _replace(Path(f"{path}-wal"))),
    "-wal grew under a copy": (
        "wal_frames_without_shm",
        lambda path: os.truncate(f"{path}-wal", 999_999),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed(change: str, path: Path) -> None:
    state, deed = CHANGES[change]
    with make_state(state, path):
        connection, opening = open_readonly(path, wal.connect)
        opening.check()
        assert opening.holds()
        deed(path)
        assert not opening.holds()
        with pytest.raises(SourceChangedError) as caught:
            opening.check()
        assert caught.value.remedy
        connection.close()
        opening.close()


def test_a_symlink_that_leads_elsewhere_now_is_noticed(path: Path) -> None:
    make_database(path)
    make_database(path.with_name("next.db"))
    link = path.with_name("current.db")
    link.symlink_to(path)
    opening = opening_of(link)
    opening.check()
    link.unlink()
    link.symlink_to("next.db")
    with pytest.raises(SourceChangedError, match="was replaced"):
        opening.check()


@pytest.mark.parametrize("name", ["rollback", "wal_clean", "wal_live_idle", "wal_frames"])
def test_reading_is_no_change(name: str, path: Path) -> None:
    with make_state(name, path):
        connection, opening = open_readonly(path, wal.connect)
        for _ in range(3):
            wal.answer_of(connection)
            opening.check()
        connection.close()


def test_a_write_within_the_same_tick_of_the_clock_is_noticed(path: Path) -> None:
    """The guard is taken when the file has been still for longer than a stamp's resolution."""
    make_database(path, "wal")
    for number in range(20):
        _header(path, 60, bytes([number]))
        opening = opening_of(path)
        assert not opening.guard.fresh
        _header(path, 60, b"\xff")
        assert not opening.holds()


# In this process ------------------------------------------------------------------------------


def test_choosing_leaves_the_locks_of_this_process_alone(
    path: Path, writer: Callable[..., wal.Writer]
) -> None:
    """Closing any descriptor of the file would drop them, and let a writer commit."""
    make_database(path)
    connection, opening = open_readonly(path, wal.connect)
    connection.execute("BEGIN")
    before = connection.execute(wal.ANSWER).fetchone()
    for _ in range(3):
        opening_of(path)
        opening.check()
        wal.read(path)
    live = writer("PRAGMA busy_timeout = 0")
    assert live.attempt(UPDATE) == ("error", "database is locked")
    assert connection.execute(wal.ANSWER).fetchone() == before
    connection.execute("ROLLBACK")
    assert live.attempt(UPDATE)[0] == "ok"
    connection.close()


def test_a_live_connection_of_this_process_is_seen(path: Path) -> None:
    make_database(path, "wal")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute(UPDATE)
    assert wal.read(path) == wal.Seen(Way.READ_ONLY_SHM, "wal-live", NEWER)
    writer.close()
    assert _names(path.parent) == ["audit.db"]


@pytest.mark.parametrize("name", ["rollback", "wal_clean", "wal_frames", "wal_live_idle"])
def test_many_threads_open_one_file(name: str, path: Path) -> None:
    with make_state(name, path) as truth, left_alone(path):
        seen: list[object] = []

        def read() -> None:
            for _ in range(5):
                try:
                    seen.append(wal.read(path).answer)
                except Exception as error:
                    seen.append(error)

        threads = [threading.Thread(target=read) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Counter(map(str, seen)) == {str(truth): 60}


def test_a_fork_opens_afresh_and_leaves_the_locks_of_its_parent_alone(
    path: Path, writer: Callable[..., wal.Writer]
) -> None:
    make_database(path)
    connection, _ = open_readonly(path, wal.connect)
    connection.execute("BEGIN")
    connection.execute(wal.ANSWER).fetchone()
    code = """
connection, opening = open_readonly(path, wal.connect)
connection.execute("BEGIN")
connection.execute(wal.ANSWER).fetchone()
before = len(descriptors())
if not (child := os.fork()):
    fine = len(descriptors()) == 0 and wal.read(path).answer == wal.OLD
    os._exit(0 if fine else 1)
fine = os.waitpid(child, 0)[1] == 0
with wal.writing(path) as writer:
    writer.run("PRAGMA busy_timeout = 0")
    print(json.dumps([before, fine, writer.attempt("UPDATE t SET word = 'new'")]))
"""
    assert wal.run_child(code, path) == [1, True, ["error", "database is locked"]]
    connection.close()


# Without locks --------------------------------------------------------------------------------

ENOLCK, EINVAL = 37, 22
WITHOUT_LOCKS = [
    ("rollback", ENOLCK, "private-copy", "rollback-without-locks"),
    ("rollback", EINVAL, "private-copy", "rollback-without-locks"),
    ("wal_clean", ENOLCK, "immutable", "wal-clean"),
    ("wal_clean", EINVAL, "immutable", "wal-clean"),
]


@pytest.mark.parametrize(("name", "number", "way", "state"), WITHOUT_LOCKS)
def test_where_locks_fail_a_private_copy_or_the_guard_stands_in(
    name: str, number: int, way: str, state: str, path: Path
) -> None:
    with make_state(name, path) as truth, left_alone(path):
        assert wal.read_without_locks(path, number) == [way, state, list(truth)]


@pytest.mark.parametrize("number", [ENOLCK, EINVAL])
def test_where_locks_fail_and_copies_are_not_allowed_it_is_refused(number: int, path: Path) -> None:
    make_database(path)
    with left_alone(path):
        kind, message = wal.read_without_locks(path, number, allow_copy=False)
    assert kind == "OpeningRefusedError"
    assert "copying was not allowed" in message
    assert "cannot lock" in message


@pytest.mark.parametrize(
    ("number", "way", "state"),
    [
        # As a kernel answers that has never heard of them: the rest works.
        (EINVAL, "read-only", "rollback"),
        (ENOLCK, "private-copy", "rollback-without-locks"),
    ],
)
def test_where_only_asking_for_locks_fails(number: int, way: str, state: str, path: Path) -> None:
    make_database(path)
    code = f"wal.forbid_locks({number}, (36, 37, 38)); seen = wal.read(path)\n"
    with left_alone(path):
        found = wal.run_child(code + "print(json.dumps([seen.way, seen.state, seen.answer]))", path)
    assert found == [way, state, list(OLD)]


# What a platform without F_OFD_GETLK has; SQLite's own locks work there.
NO_PROBE = "import fcntl; del fcntl.F_OFD_GETLK, fcntl.F_OFD_SETLK\n"


def test_where_locks_cannot_be_seen_the_rows_are_right_all_the_same(tmp_path: Path) -> None:
    with ExitStack() as stack:
        paths, truths = [], []
        for name in EXPECTED:
            paths.append(tmp_path / name / "audit.db")
            paths[-1].parent.mkdir()
            truths.append(stack.enter_context(make_state(name, paths[-1])))
        for path in paths:
            stack.enter_context(left_alone(path))
        for truth, (way, _, answer) in zip(
            truths, wal.read_in_child(*paths, before=NO_PROBE), strict=True
        ):
            assert answer == list(truth)
            assert way != Way.READ_ONLY_SHM


# Under fire -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_under_fire_no_read_is_torn_or_stale(mode: str, tmp_path: Path) -> None:
    """Writers open, write, close and are killed all the while; see tests/stress for more."""
    with wal.churning(tmp_path, mode) as churn:
        seen = Counter(churn.observe() for _ in range(60))
        while not any(what.startswith("right") for what in seen):
            seen[churn.observe()] += 1
    assert not {what for what in seen if not what.startswith(("right", "caught", "refused"))}


# The decision as data -------------------------------------------------------------------------

ALL_FACTS = [
    Facts(*values)
    for values in itertools.product(
        *((True, False), (True, False), (True, False)),
        *(Journal, Wal),
        *((True, False), (True, False)),
        Lock,
    )
    # A -wal makes it WAL, and encryption is taken for it.
    if values[2] or (values[4] is Wal.ABSENT and not values[1])
]


def test_every_combination_of_facts_has_a_state() -> None:
    assert all(state_of(facts) for facts in ALL_FACTS)


def test_every_state_is_that_of_some_facts() -> None:
    assert {state_of(facts).name for facts in ALL_FACTS} == {state.name for state in STATES}


def test_no_way_is_chosen_where_it_was_measured_to_be_wrong() -> None:
    for facts in ALL_FACTS:
        way = state_of(facts).way
        if facts.journal is Journal.HOT and facts.lock is not Lock.WRITER:
            assert way is Way.PRIVATE_COPY  # torn or refused in place
        if facts.wal in (Wal.FRAMES, Wal.DAMAGED):
            assert way not in (Way.IMMUTABLE, Way.READ_ONLY)  # stale, or a -shm appears
        if facts.wal_mode:
            assert way is not Way.READ_ONLY  # -wal and -shm appear
        if way is Way.READ_ONLY_SHM:
            assert facts.shm  # an empty -wal or nothing to read
            assert facts.wal is not Wal.ABSENT
            assert facts.lock in (Lock.NOBODY, Lock.READER)
            assert facts.same_owner
        if way is Way.IMMUTABLE:
            assert facts.lock not in (Lock.READER, Lock.WRITER)
        if not facts.path_fits:
            assert way is Way.PRIVATE_COPY


def test_every_state_and_refusal_says_why_in_a_sentence() -> None:
    for state in STATES:
        assert state.reason.endswith(".")
    for refusal in REFUSALS.values():
        error = refusal.error(Path("a.db"), "detail")
        assert str(error).startswith(f"a.db {refusal.reason} (detail). Remedy: ")
        assert refusal.remedy.endswith(".")


def test_the_uri_is_quoted_whole() -> None:
    path = Path("/a b/%41?#&=é\udcff.db")
    stamp = Stamp.of(Path(__file__).stat())
    guard = Stamps(stamp, None, None)
    opening = Opening(path, path, Way.READ_ONLY, "rollback", ALL_FACTS[0], "", guard)
    parts = urlsplit(opening.uri)
    assert (parts.scheme, parts.netloc, parts.query) == ("file", "", "mode=ro")
    assert unquote(parts.path, errors="surrogateescape") == str(path)


def test_the_long_stress_runs() -> None:
    script = Path(__file__).parents[1] / "stress" / "opening_stress.py"
    found = subprocess.run(
        [sys.executable, script, "--seconds", "1", "--readers", "2"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "wrong: 0" in found.stdout
