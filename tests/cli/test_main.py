"""Every command gives one clear line and the right exit code for what it is given."""

from __future__ import annotations

import importlib
import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from landscape_compat import verify_bag
from landscape_compat.engine import locks
from landscape_compat.engine.locks import explain_refusal
from landscape_compat.errors import ExitCode
from support.commands import Run
from support.legacy import Written
from support.untouched import untouched

COMMANDS = ("inspect", "export", "versions", "run")

INTERRUPTED = (
    "landscape-compat: Interrupted; no file was left half-written, and what was done stays done.\n"
)


def test_help_names_every_command_and_exit_code(run: Run) -> None:
    """The help is on standard output, and says what the exit codes mean."""
    outcome = run("--help")
    assert outcome.code == 0
    assert all(command in outcome.out for command in COMMANDS)
    assert "6 unreadable" in outcome.out


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(run: Run, command: str) -> None:
    """Each command says what it does and takes."""
    outcome = run(command, "--help")
    assert outcome.code == 0
    assert command in outcome.out


def test_importing_what_runs_it_runs_nothing() -> None:
    """As what documents a package imports every module of it."""
    assert importlib.import_module("landscape_compat.__main__").main


def test_help_imports_nothing_heavy() -> None:
    """Asked for help, the program does not load what only its work needs."""
    code = (
        "import sys; from landscape_compat.cli import main; main(['--help']);"
        "heavy = {'sqlalchemy', 'structlog', 'wrapt', 'rfc8785'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_version(run: Run) -> None:
    """The version is that of the installed package."""
    from importlib.metadata import version

    assert run("--version").out == f"landscape-compat {version('landscape-compat')}\n"


def test_usage_errors(run: Run) -> None:
    """No command, an unknown one, and a missing argument are usage errors."""
    assert run().code == ExitCode.USAGE
    assert run("nonsense").code == ExitCode.USAGE
    assert run("inspect").code == ExitCode.USAGE
    assert run("export", "x.db").code == ExitCode.USAGE


def test_a_mistyped_command_is_guessed(run: Run) -> None:
    """A usage error says what may have been meant, and where to read on."""
    outcome = run("inspekt", "audit.db")
    assert outcome.code == ExitCode.USAGE
    assert "inspect" in outcome.err.splitlines()[1].rpartition("did you mean")[2] or (
        "maybe you meant" in outcome.err
    )
    assert outcome.err.splitlines()[-1] == "See: landscape-compat --help"
    assert run("export", "x.db").err.splitlines()[-1] == "See: landscape-compat export --help"


def test_a_name_that_begins_with_a_dash_was_called_a_missing_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hint = "If -odd.db is a name, put -- before it, or = between an option and it."
    monkeypatch.chdir(tmp_path)
    for words in (("inspect", "-odd.db"), ("explain", "x.db", "--run", "-odd.db")):
        told = run(*words)
        assert (told.code, told.err.splitlines()[-1]) == (ExitCode.USAGE, hint)
    assert "-odd.db does not exist" in run("inspect", "--", "-odd.db").err
    assert "If -" not in run("inspect", "-q").err


def test_an_error_names_the_next_command(run: Run, tmp_path: Path) -> None:
    """Where another command tells more, the error says it, ready to be pasted."""
    path = tmp_path / "a letter.db"
    path.write_text("Dear reader,\n" * 50)
    assert run("inspect", path).err.endswith(f"Next: landscape-compat doctor '{path}'\n")
    assert "Next:" not in run("doctor", path).err
    url = f"sqlite:///{path}"
    assert run("inspect", url).err.endswith("Next: landscape-compat doctor DB\n")


def test_a_server_that_cannot_be_reached_is_told_in_one_line(run: Run, tmp_path: Path) -> None:
    """In the driver's words; the password is in none of them."""
    url = f"postgresql+psycopg://user:secret@/db?host={tmp_path}"
    outcome = run("inspect", url)
    assert (outcome.code, outcome.out) == (ExitCode.OPERATIONAL, "")
    assert outcome.err.startswith("landscape-compat: The database could not be read: ")
    assert len(outcome.err.splitlines()) == 1
    assert str(tmp_path) in outcome.err
    assert "secret" not in outcome.err


def test_the_doctor_is_not_sent_for_by_the_doctor(
    run: Run, legacy: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where it is SQLite that lacks a lock, as one of tomorrow's here."""
    monkeypatch.setattr(locks, "_PRAGMAS", (("a_pragma_of_tomorrow", "ON", 1),))
    outcome = run("doctor", legacy.path)
    assert (outcome.code, outcome.out) == (ExitCode.OPERATIONAL, "")
    assert "does not obey PRAGMA a_pragma_of_tomorrow=ON" in outcome.err
    assert "Next:" not in outcome.err
    assert "Next: landscape-compat doctor" in run("inspect", legacy.path).err


def _absent(folder: Path) -> Path:
    return folder / "absent.db"


def _folder(folder: Path) -> Path:
    return folder


def _empty(folder: Path) -> Path:
    (folder / "empty.db").touch()
    return folder / "empty.db"


def _text(folder: Path) -> Path:
    (folder / "text.db").write_text("This is a letter, not a database.\n" * 30)
    return folder / "text.db"


def _other_database(folder: Path) -> Path:
    with closing(sqlite3.connect(folder / "other.db")) as connection:
        connection.execute("CREATE TABLE people (name)")
    return folder / "other.db"


def _other_nodes(folder: Path) -> Path:
    with closing(sqlite3.connect(folder / "other.db")) as connection:
        connection.execute("CREATE TABLE nodes (node_id)")
    return folder / "other.db"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.db")
    return folder / "pipe.db"


def _url(_: Path) -> str:
    return "nonsense://user:secret@host/db"


def _bad_port(_: Path) -> str:
    return "postgresql://user:secret@host:port/db"


def _no_driver(_: Path) -> str:
    return "postgresql+pg8000://user:secret@host/db"


def _other_dialect(_: Path) -> str:
    return "oracle://user:secret@host/db"


def _asynchronous(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'x.db'}"


BAD = [
    (_absent, "does not exist"),
    (_folder, "is a folder"),
    (_empty, "is empty"),
    (_text, "is not a SQLite database"),
    (_other_database, "not an audit database"),
    (_other_nodes, "not an audit database"),
    (_pipe, "device, pipe or socket"),
    (_url, "not a database URL"),
    (_bad_port, "not a database URL"),
    (_no_driver, "no module pg8000"),
    (_other_dialect, "'oracle' is not known"),
    (_asynchronous, "asynchronous"),
]


@pytest.mark.parametrize(("make", "said"), BAD, ids=[make.__name__ for make, _ in BAD])
@pytest.mark.parametrize("command", ["inspect", "export"])
def test_bad_input_gets_one_line(
    run: Run, tmp_path: Path, command: str, make: object, said: str
) -> None:
    """What cannot be read is told in one line that says what to do, and nothing is made."""
    folder = tmp_path / "given"
    folder.mkdir()
    given = make(folder)  # type: ignore[operator]
    before = sorted(folder.iterdir())
    output = ("-o", tmp_path / "out") if command == "export" else ()
    outcome = run(command, given, *output)
    assert (outcome.code, outcome.out) == (ExitCode.OPERATIONAL, "")
    assert said in outcome.err
    assert "Remedy:" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert "secret" not in outcome.err
    assert sorted(folder.iterdir()) == before
    assert not (tmp_path / "out").exists()


def test_names_cannot_act_on_the_terminal(run: Run, tmp_path: Path) -> None:
    """A path with control characters is shown with them escaped."""
    outcome = run("inspect", tmp_path / "a\x1b[31m\nb.db")
    assert "\x1b" not in outcome.err
    assert "\\x1b[31m\\nb.db" in outcome.err


CLOSED = ExitCode.OPERATIONAL, b""


def told_to_a_closed_pipe(*words: str) -> tuple[int, bytes]:
    """Run a command whose reader has gone; give its exit code, and what it says of that."""
    command = [sys.executable, "-m", "landscape_compat", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        talk = child.stderr.read()
    return child.returncode, talk


def test_a_closed_pipe_is_no_error_message(legacy: Written) -> None:
    """A reader that has seen enough, as `head` does, is not answered with a traceback."""
    assert told_to_a_closed_pipe("export", str(legacy.path), "-o", "-", "-q") == CLOSED


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_the_version_to_a_closed_pipe_was_answered_with_a_traceback(
    monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """Only what a command prints was looked after."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    assert told_to_a_closed_pipe(word) == CLOSED


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_a_closed_stream_was_an_attribute_error_or_had_its_words_in_another(
    legacy: Written, tmp_path: Path, closed: tuple[int, ...]
) -> None:
    """What was said to no standard error was printed among the results."""
    shut = " ".join(f"{number}>&-" for number in closed)
    words = (sys.executable, "-m", "landscape_compat", "export", str(legacy.path), "--json", "-o")
    command = shlex.join((*words, str(tmp_path / "out")))
    with untouched(legacy.path):
        done = subprocess.run(
            ["sh", "-c", f"exec {command} {shut}"], capture_output=True, check=False
        )
    assert done.returncode == ExitCode.DONE, done.stderr
    assert (done.stdout == b"") is (1 in closed)
    assert 1 in closed or json.loads(done.stdout)["kind"] == "export"
    assert (b"warning: tokens" in done.stderr) is (2 not in closed)
    assert b"Traceback" not in done.stderr
    assert verify_bag(tmp_path / "out").is_sound


def test_without_a_standard_error_a_mistake_was_told_among_the_results(tmp_path: Path) -> None:
    words = (sys.executable, "-m", "landscape_compat", "inspect")
    for rest, code in (((), ExitCode.USAGE), ((str(tmp_path / "no.db"),), ExitCode.OPERATIONAL)):
        done = subprocess.run(
            ["sh", "-c", f"exec {shlex.join((*words, *rest))} 2>&-"],
            stdout=subprocess.PIPE,
            check=False,
        )
        assert (done.returncode, done.stdout) == (code, b"")


def test_a_file_that_was_opened_got_the_descriptor_of_a_closed_stream(tmp_path: Path) -> None:
    """What a program that we start says would go into it."""
    code = (
        "import os, subprocess, sys; from landscape_compat.cli import main; main(['--version']);"
        f"file = open({str(tmp_path / 'file')!r}, 'w'); subprocess.run(['echo', 'x']);"
        "sys.exit(file.fileno() < 3)"
    )
    shut = f'exec "{sys.executable}" -c "$0" <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", shut, code], check=False).returncode == 0
    assert (tmp_path / "file").read_text() == ""


def test_a_full_disk_under_standard_output_was_told_twice_and_ended_with_120(
    legacy: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all that is said stays in a buffer until the end."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    words = ("-m", "landscape_compat", "inspect", str(legacy.path), "--table", "edges")
    command = [sys.executable, *words]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == ExitCode.OPERATIONAL
    assert done.stderr == b"landscape-compat: No space left on device: the file in hand\n"


def test_ctrl_c_while_a_reader_holds_it_up(legacy: Written) -> None:
    """Interrupted in the middle of an export, the program ends with 3 and one line."""
    words = ("-m", "landscape_compat", "export", str(legacy.path), "-o", "-", "-q")
    command = [sys.executable, *words]
    with (
        untouched(legacy.path),
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pipesize=4096
        ) as child,
    ):
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.read(1)  # it is writing, and will wait for the rest to be read
        child.send_signal(signal.SIGINT)
        child.wait(timeout=60)
        talk = child.stderr.read()
    assert child.returncode == ExitCode.INTERRUPTED
    assert talk == INTERRUPTED.encode()


STUCK = """
import os, signal, sys
from landscape_compat.cli import main, versions

def interrupted(options):
    os.set_blocking(1, False)
    try:
        while os.write(1, b"x" * 4096):
            pass
    except BlockingIOError:
        os.set_blocking(1, True)
    sys.stdout.write("what waits in a buffer")
    signal.raise_signal(signal.SIGINT)

versions.run = interrupted
sys.exit(main(["versions"]))
"""


def test_interrupted_with_its_output_in_a_buffer_it_waited_for_who_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the reader has not taken by then is not for him any more."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    with subprocess.Popen(
        [sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stderr is not None
        try:
            child.wait(timeout=60)
        finally:
            child.kill()
        talk = child.stderr.read()
    assert (child.returncode, talk) == (ExitCode.INTERRUPTED, INTERRUPTED.encode())


def test_interrupted_it_still_writes_what_its_output_takes(tmp_path: Path) -> None:
    code = STUCK.replace("while os.write", "while False and os.write")
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run([sys.executable, "-c", code], stdout=out, check=False)
    assert done.returncode == ExitCode.INTERRUPTED
    assert (tmp_path / "out").read_text() == "what waits in a buffer"


def test_a_bug_is_not_hidden(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw is shown whole, to be reported."""
    from landscape_compat.landscape import history

    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(history, "known_shapes", broken)
    with pytest.raises(ZeroDivisionError):
        run("versions")


def test_interrupted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is exit code 3."""
    from landscape_compat.landscape import history

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(history, "known_shapes", interrupted)
    outcome = run("versions")
    assert (outcome.code, outcome.out) == (ExitCode.INTERRUPTED, "")
    assert "Interrupted" in outcome.err


def _while_a_class_is_made() -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt as interrupt:
        raise RuntimeError("Error calling __set_name__") from interrupt


def _while_cleaning_up_fails() -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        raise OSError(5, "Input/output error")


def _while_sqlite_asks() -> None:
    def authorize(*_: object) -> int:
        signal.raise_signal(signal.SIGINT)
        return sqlite3.SQLITE_OK

    with closing(sqlite3.connect(":memory:")) as connection:
        connection.set_authorizer(authorize)
        try:
            connection.execute("SELECT 1")
        except sqlite3.DatabaseError as error:
            refused = explain_refusal(error)
            assert refused is not None
            raise refused from None


@pytest.mark.parametrize(
    "moment", [_while_a_class_is_made, _while_cleaning_up_fails, _while_sqlite_asks]
)
def test_an_interrupt_that_became_another_error_was_told_as_that(
    run: Run, monkeypatch: pytest.MonkeyPatch, moment: Callable[[], None]
) -> None:
    monkeypatch.setattr("landscape_compat.cli.versions.run", lambda _: moment())
    outcome = run("versions")
    assert (outcome.code, outcome.out) == (ExitCode.INTERRUPTED, "")
    assert outcome.err == INTERRUPTED
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_command_in_a_thread_sets_no_signal_handler(run: Run) -> None:
    with ThreadPoolExecutor() as pool:
        assert pool.submit(run, "versions").result().code == ExitCode.DONE
