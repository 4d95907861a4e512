"""A command run with the shim installed behaves as if it had been started by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.errors import ExitCode
from support.commands import Run
from support.host_eras import ERAS
from support.hosts import OLD, PutInPlace, build_record, put_in_place, url_of
from support.untouched import untouched

ROOT = Path(__file__).resolve().parents[2]

# What a console command of any program may do.
PROBE = """
import atexit, json, multiprocessing, os, signal, sys, time

def ending(): return eval(sys.argv[1])

def arguments(): print(json.dumps([*sys.argv, sys.modules["__main__"].__package__]))

def copying(): sys.stdout.buffer.write(sys.stdin.buffer.read())

def failing(): raise OSError(5, "no such luck", "somewhere")

def hooked():
    sys.excepthook = lambda kind, error, trace: print(f"hooked {error}", file=sys.stderr)
    raise ValueError("mishap")

def logged():
    import structlog
    assert not structlog.is_configured()

def waiting():
    if sys.argv[1] == "own":
        signal.signal(signal.SIGINT, lambda *_: os._exit(42))
    atexit.register(lambda: print("cleaned up", flush=True))
    print("ready", flush=True)
    time.sleep(60)

def work(number): return number * 2

def spawning():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(work, [1, 2]))

if __name__ == "__main__":
    from probe import spawning as same
    print(json.dumps(sys.argv[1:]), sys.argv[0] == __file__, sys.modules["__main__"].__name__)
    if "spawn" in sys.argv:
        spawning()
    sys.exit(9)
"""
COMMANDS = (
    *("ending", "arguments", "copying", "failing", "hooked", "logged", "waiting", "spawning"),
    *("missing_function",),
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give a folder in which a program is installed, with its console commands."""
    folder = tmp_path / "site"
    info = folder / "probe-1.dist-info"
    info.mkdir(parents=True)
    (folder / "probe.py").write_text(PROBE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probe\nVersion: 1\n")
    scripts = [f"{name} = probe:{name}" for name in COMMANDS]
    scripts.append("elspeth = elspeth.cli:app")
    (info / "entry_points.txt").write_text("[console_scripts]\n" + "\n".join(scripts))
    return folder


def command_line(*words: object) -> list[str]:
    return [sys.executable, "-m", "landscape_compat", "run", *map(str, words)]


def environment(*folders: Path) -> dict[str, str]:
    paths = [ROOT / "src", ROOT / "tests", *folders]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}


def start(place: Path, *words: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    folders = (place, *options.pop("more", ()))
    return subprocess.run(
        command_line(*words),
        env=environment(*folders),
        capture_output=True,
        check=False,
        timeout=120,
        **{"stdin": None if "input" in options else subprocess.DEVNULL, **options},
    )


@pytest.mark.parametrize(
    ("expression", "code", "said"),
    [
        ("None", 0, b""),
        ("0", 0, b""),
        ("7", 7, b""),
        ("True", 1, b""),
        ("'in words'", 1, b"in words\n"),
        ("sys.exit(5)", 5, b""),
        ("sys.exit('stopped')", 1, b"stopped\n"),
        ("os._exit(3)", 3, b""),
    ],
)
def test_exit_codes(place: Path, expression: str, code: int, said: bytes) -> None:
    """Whatever a command returns, or exits with, becomes of it what its own script would make."""
    done = start(place, "--", "ending", expression)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", said)


def test_arguments_are_passed_as_they_are(place: Path) -> None:
    """Options of ours, dashes, empty words and spaces behind the command are the command's."""
    words = ["-q", "--posture", "x", "--", "", "a b", "-m", "--help", "\u00e4\U0001f642"]
    for name in ("arguments", "/usr/local/bin/arguments"):
        for before in (("--",), ("-q", "--"), ("--posture", "refuse", "--"), ()):
            done = start(place, *before, name, *words)
            assert done.stderr == b""
            assert __import__("json").loads(done.stdout) == [name, *words, None]


def test_input_and_output_are_untouched(place: Path) -> None:
    """Every byte passes, in both directions, whatever the lines end with."""
    data = bytes(range(256)) * 300 + b"\r\n\n\r\xff"
    done = start(place, "--", "copying", input=data)
    assert (done.returncode, done.stdout, done.stderr) == (0, data, b"")


def test_logging_is_left_to_the_command(place: Path) -> None:
    """A command finds logging as if nobody had set it up."""
    assert start(place, "--", "logged").returncode == 0


def test_an_error_is_shown_as_the_interpreter_would(place: Path) -> None:
    """A traceback from the command's own first line on, and 1; not a line of ours."""
    done = start(place, "--", "failing")
    said = done.stderr.decode()
    assert done.returncode == 1
    assert said.startswith("Traceback (most recent call last):")
    assert said.endswith("no such luck: 'somewhere'\n")
    assert "probe.py" in said
    assert "landscape_compat" not in said
    done = start(place, "--", "hooked")
    assert (done.returncode, done.stderr) == (1, b"hooked mishap\n")
    done = start(place, "--", "missing_function")
    assert done.returncode == 1
    assert b"AttributeError" in done.stderr


def _heed_signals() -> None:
    """Undo what a shell's `&` and `nohup` leave to every child: signals that are ignored."""
    for sent in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(sent, signal.SIG_DFL)


def waiting(place: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start a command that waits, and return when it does."""
    child = subprocess.Popen(
        command_line("--", "waiting", *words),
        env=environment(place),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_heed_signals,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


@pytest.mark.parametrize(
    ("own", "sent", "code", "out"),
    [
        ("no", signal.SIGTERM, -signal.SIGTERM, b""),
        ("no", signal.SIGHUP, -signal.SIGHUP, b""),
        ("no", signal.SIGINT, -signal.SIGINT, b"cleaned up\n"),
        ("own", signal.SIGINT, 42, b""),
    ],
)
def test_signals(place: Path, own: str, sent: signal.Signals, code: int, out: bytes) -> None:
    """A signal does what it does to a Python program, and the exit status tells of it."""
    with waiting(place, own) as child:
        child.send_signal(sent)
        found, said = child.communicate(timeout=60)
    assert (child.returncode, found) == (code, out)
    if (own, sent) == ("no", signal.SIGINT):
        assert said.startswith(b"Traceback")
        assert said.endswith(b"KeyboardInterrupt\n")
    else:
        assert said == b""


def test_a_module(place: Path) -> None:
    """`-m MODULE` runs a module as Python does: its name, its arguments, the folder it is in."""
    for options in ({}, {"cwd": place, "more": ()}):
        done = start(place if not options else ROOT / "none", "--", "-m", "probe", "-m", **options)
        assert done.stderr == b""
        assert (done.returncode, done.stdout) == (9, b'["-m"] True __main__\n')


def test_a_module_of_the_folder_where_it_is_run(place: Path) -> None:
    """A module is also found in the current folder, though the installed command is elsewhere."""
    # Without the folder on the path, as the script that an installer makes is started.
    words = [sys.executable, "-P", *command_line("--", "-m", "probe", "-m")[1:]]
    done = subprocess.run(words, env=environment(), cwd=place, capture_output=True, check=False)
    assert done.stderr == b""
    assert (done.returncode, done.stdout) == (9, b'["-m"] True __main__\n')


@pytest.mark.parametrize("words", [["spawning"], ["-m", "probe", "spawn"]])
def test_processes_that_are_spawned(place: Path, words: list[str]) -> None:
    """A command that starts fresh interpreters gets the answers of its functions."""
    done = start(place, "--", *words)
    assert done.stderr == b""
    assert done.stdout.endswith(b"[2, 4]\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "No Python console command 'nonsense'"),
        (["\x1b[31mred"], "command '\\x1b[31mred'"),
        (["-m"], "-m needs the name of a module"),
        (["-m", "non_sense"], "no module 'non_sense'"),
        (["-m", "non.sense"], "no module 'non.sense'"),
        (["-m", "..sense"], "no module '..sense'"),
    ],
)
def test_what_is_not_there(place: Path, words: list[str], said: str) -> None:
    """A command or module that does not exist is told in one line, with what to do."""
    done = start(place, "--", *words)
    text = done.stderr.decode()
    assert (done.returncode, done.stdout) == (ExitCode.OPERATIONAL, b"")
    assert said in text
    assert "Remedy:" in text
    assert len(text.splitlines()) == 1


def test_no_command_is_a_usage_error(run: Run) -> None:
    """Without a command there is nothing to run, and the message shows what is missing."""
    for words in ((), ("--",), ("--posture", "refuse")):
        outcome = run("run", *words)
        assert (outcome.code, outcome.out) == (ExitCode.USAGE, "")
        assert "landscape-compat run -- elspeth explain" in outcome.err
    assert run("run", "--posture", "none", "--", "x").code == ExitCode.USAGE


# The host -----------------------------------------------------------------------------------------


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PutInPlace]:
    """Put a host in place that logs to standard output, as the real one does."""
    with put_in_place(tmp_path / "host", ERAS["newest"]) as host:
        cli = host.folder / "elspeth" / "cli.py"
        cli.write_text(cli.read_text() + LOGGING)
        yield host


LOGGING = """
import structlog
structlog.configure(
    processors=[structlog.processors.JSONRenderer()],
    logger_factory=structlog.PrintLoggerFactory(),
)
"""


def test_the_host_reads(place: Path, host: PutInPlace, tmp_path: Path) -> None:
    """The command's result is all that is on standard output; notices are beside it, once."""
    written = build_record(tmp_path / "record", OLD)
    url = url_of(written.path)
    count = len(written.tables["tokens"].rows)
    with untouched(written.path):
        done = start(place, "--", "elspeth", "explain", url, more=[host.folder])
        quiet = start(place, "-q", "--", "elspeth", "explain", url, more=[host.folder])
        module = start(place, "--", "-m", "elspeth.cli", "explain", url, more=[host.folder])
    for ended in (done, quiet, module):
        assert ended.returncode == 0
    assert done.stdout == quiet.stdout == f"{count} tokens\n".encode()
    assert quiet.stderr == b""
    said = done.stderr.decode().splitlines()
    assert [line for line in said if "has another schema: 2026-01-14/75de5bfee" in line] == said[:1]
    assert "expand_group_id (absent)" in done.stderr.decode()
    assert all(line.startswith("warning: ") for line in said)
    assert len(set(said)) == len(said)


@pytest.mark.parametrize("way", [["elspeth"], ["-m", "elspeth.cli"]])
def test_the_host_does_not_write(
    place: Path, host: PutInPlace, tmp_path: Path, way: list[str]
) -> None:
    """A command that writes is refused by the host's own handler, and destroys nothing."""
    cli = host.folder / "elspeth" / "cli.py"
    cli.write_text(cli.read_text() + "\nif __name__ == '__main__':\n    app()\n")
    written = build_record(tmp_path / "record", OLD)
    (tmp_path / "payloads").mkdir()
    (tmp_path / "payloads" / "payload").touch()
    with untouched(written.path), untouched(tmp_path / "payloads" / "payload"):
        for words in (["run"], ["resume"], ["purge"]):
            more = [tmp_path / "payloads"] if words == ["purge"] else []
            arguments = [*words, url_of(written.path), *more]
            done = start(place, "--", *way, *arguments, more=[host.folder])
            assert (done.returncode, done.stdout) == (1, b"")
            said = done.stderr.decode()
            assert said.startswith("Error connecting to database: The schema of this audit")
            assert f"by the command `{words[0]}`, which writes" in said


def test_the_posture(place: Path, host: PutInPlace, tmp_path: Path) -> None:
    """Under `refuse` a command that reads is refused too, and a current database is not."""
    written = build_record(tmp_path / "record", OLD)
    words = ("--posture", "refuse", "--", "elspeth", "explain")
    with untouched(written.path):
        done = start(place, *words, url_of(written.path), more=[host.folder])
    assert done.returncode == 1
    assert b"The posture is `refuse`" in done.stderr
    url = host.own(tmp_path / "current" / "audit.db")
    done = start(place, *words, url, more=[host.folder])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"0 tokens\n", b"")


def test_a_strange_host(place: Path, host: PutInPlace) -> None:
    """A host that cannot be wrapped is told in one line, before it does anything."""
    (host.folder / "elspeth" / "core" / "landscape" / "database.py").write_text("LandscapeDB = 1")
    done = start(place, "--", "elspeth", "explain", "sqlite://", more=[host.folder])
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"is no version of ELSPETH that is known here" in done.stderr
    assert len(done.stderr.splitlines()) == 1
