"""A passphrase comes from the environment or a prompt that does not show it, and is never shown."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from landscape_compat import diff_databases, verify_bag
from landscape_compat.cli.main import make_parser
from landscape_compat.cli.passphrase import VARIABLE
from landscape_compat.errors import ExitCode, OpeningRefusedError
from landscape_compat.landscape.checking import check_databases
from support.commands import Run
from support.legacy import Written
from support.untouched import untouched

cipher = pytest.importorskip(
    "sqlcipher3.dbapi2",
    reason="NOT READ ENCRYPTED: sqlcipher3 is not installed (pip install 'landscape-compat[test]')",
)
SECRET = "correct horse 'battery' staple"


@pytest.fixture
def encrypted(legacy: Written, tmp_path: Path) -> Path:
    """Encrypt an old Landscape by SQLCipher, in a folder of its own."""
    path = tmp_path / "encrypted" / "audit.db"
    path.parent.mkdir()
    with closing(cipher.connect(legacy.path, isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS new KEY ?", (str(path), SECRET))
        connection.execute("SELECT sqlcipher_export('new')")
        (epoch,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA new.user_version = {epoch}")
        connection.execute("DETACH new")
    return path


@pytest.fixture
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)


@pytest.mark.usefixtures("_key")
def test_every_command_that_reads_reads_it_by_the_key(
    run: Run, encrypted: Path, legacy: Written, tmp_path: Path
) -> None:
    bag, page = tmp_path / "bag", tmp_path / "page.html"
    told = []
    with untouched(encrypted):
        for words in (
            ("inspect", encrypted),
            ("inspect", encrypted, "--html", page),
            ("doctor", encrypted, "--check", "full"),
            ("check", encrypted, legacy.path),
            ("diff", encrypted, legacy.path),
            ("export", encrypted, "-o", bag),
            ("verify", bag, "--source", encrypted),
            ("export", encrypted, "-o", "-"),
        ):
            outcome = run(*words)
            degraded = words[0] == "check"
            assert outcome.code == (ExitCode.DEGRADED if degraded else ExitCode.DONE), outcome
            told.append(outcome)
    assert told[4].out.endswith("The schemas are the same.\n")
    assert "encryption  SQLCipher, read by the passphrase" in told[2].out
    assert told[7].out == run("export", legacy.path, "-o", "-").out
    shown = "".join(outcome.out + outcome.err for outcome in told)
    written = [file.read_bytes() for file in (page, *bag.rglob("*")) if file.is_file()]
    assert SECRET not in shown
    assert not any(SECRET.encode() in content for content in written)


@pytest.mark.usefixtures("_key")
def test_explain_reads_it_by_the_key(run: Run, encrypted: Path, legacy: Written) -> None:
    with untouched(encrypted):
        one, other = (
            run("explain", path, "--run", "latest").out for path in (encrypted, legacy.path)
        )
    assert one == other


def test_python_reads_it_by_the_key(encrypted: Path, legacy: Written) -> None:
    with untouched(encrypted):
        assert not diff_databases(encrypted, legacy.path, passphrase=SECRET)
        (checked,) = check_databases([encrypted], passphrase=SECRET)
        assert checked.verdict == "degraded"
        (checked,) = check_databases([encrypted])
        assert checked.verdict == "unknown"


def test_a_bag_is_compared_with_an_encrypted_source(
    run: Run, encrypted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)
    assert run("export", encrypted, "-o", tmp_path / "bag").code == ExitCode.DONE
    monkeypatch.delenv(VARIABLE)
    assert verify_bag(tmp_path / "bag", sources=[encrypted], passphrase=SECRET).is_sound
    with pytest.raises(OpeningRefusedError, match="give its passphrase"):
        verify_bag(tmp_path / "bag", sources=[encrypted])


@pytest.mark.parametrize("given", [None, "wrong"])
@pytest.mark.parametrize("command", ["inspect", "export", "doctor"])
def test_a_missing_and_a_wrong_key_are_told(
    command: str,
    given: str | None,
    run: Run,
    encrypted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if given:
        monkeypatch.setenv(VARIABLE, given)
    words = ("-o", tmp_path / "bag") if command == "export" else ()
    with untouched(encrypted):
        outcome = run(command, encrypted, *words)
    assert outcome.code == ExitCode.OPERATIONAL
    said = outcome.out + outcome.err
    assert ("by this passphrase" if given else "may be encrypted") in said
    assert command == "doctor" or VARIABLE in said
    assert not (tmp_path / "bag").exists()


@pytest.mark.usefixtures("_key")
def test_what_makes_or_moves_a_database_says_that_it_does_not_read_it(
    run: Run, encrypted: Path, tmp_path: Path
) -> None:
    """It once told to give the passphrase, which it takes from nowhere."""
    for words in (("migrate", "-o", tmp_path / "new.db"), ("reset",), ("alembic",)):
        with untouched(encrypted):
            outcome = run(words[0], encrypted, *words[1:])
        assert outcome.code == ExitCode.OPERATIONAL
        assert "may be encrypted" in outcome.err
        assert "This command reads no encrypted database" in outcome.err
    assert not (tmp_path / "new.db").exists()


def test_no_option_takes_a_passphrase() -> None:
    shown = []
    for action in make_parser()._subparsers._group_actions[0].choices.values():  # type: ignore[union-attr,union-attr]
        shown += [option for each in action._actions for option in each.option_strings]
    assert "--json" in shown
    assert not [option for option in shown if "pass" in option]


@pytest.mark.parametrize(("typed", "code"), [(SECRET, 0), ("guessed-it", 1), ("\x04", 1)])
def test_somebody_at_a_terminal_is_asked(typed: str, code: int, encrypted: Path) -> None:
    ours, theirs = pty.openpty()
    with untouched(encrypted):
        process = subprocess.Popen(
            [sys.executable, "-m", "landscape_compat", "doctor", str(encrypted)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={name: value for name, value in os.environ.items() if name != VARIABLE},
            start_new_session=True,
        )
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the end of a terminal
            while chunk := os.read(ours, 4096):
                if b"Passphrase of " not in shown and b"Passphrase of " in shown + chunk:
                    os.write(ours, typed.encode() + (b"" if typed == "\x04" else b"\n"))
                shown += chunk
        os.close(ours)
        assert process.wait() == code, shown
    assert b"Passphrase of " in shown
    assert typed == "\x04" or typed.encode() not in shown
