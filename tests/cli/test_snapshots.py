"""What each command prints for the example database, word for word."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import nullcontext
from pathlib import Path

import pytest

from landscape_compat.cli.main import make_parser
from support.commands import Run
from support.snapshots import same_as_kept
from support.untouched import untouched
from test_legacy_generator import example

GOOD = "6de5bd111d4ac677b8ba20d9aef4195b"
COMMANDS = {
    "inspect": "inspect audit.db",
    "inspect-table": "inspect audit.db --table tokens",
    "inspect-target": "inspect audit.db --target 2026-01-21",
    "inspect-json": "inspect audit.db --table rows --json",
    "inspect-unknown-table": "inspect audit.db --table token",
    "inspect-unknown-target": "inspect audit.db --target 2026-13-01",
    "check": "check audit.db",
    "check-json": "check audit.db --json",
    "diff": "diff audit.db audit.db",
    "explain": f"explain audit.db --run {GOOD} --row 3 --plain",
    "explain-unknown-run": "explain audit.db --run none",
    "export": "export audit.db -o bag",
    "export-unknown-run": "export audit.db -o other --run none",
    "export-taken": "export audit.db -o taken",
    "migrate": "migrate audit.db -o new.db",
    "verify": "export audit.db -o bag && verify bag",
    "verify-source": "export audit.db -o bag && verify bag --source audit.db",
    "verify-migration": "migrate audit.db -o new.db && verify new.db",
    "verify-no-bag": "verify taken",
    "run-no-host": "run -- no-such-program explain",
    "reset": "reset audit.db",
    "versions": "versions",
    "no-such-file": "inspect nothing.db",
}
# What differs from one machine, day or installation to another.
VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(\+00:00|Z)?"), "TIME"),
    (re.compile(r"audit\.\d{4}-\d\d-\d\d\.[0-9a-f]{12}\.db"), "audit.DATE.DIGEST.db"),
)
MOVING = {"reset"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that commands run in, the database in one of its own."""
    (tmp_path / "record").mkdir()
    (tmp_path / "work" / "taken").mkdir(parents=True)
    (tmp_path / "work" / "taken" / "file").touch()
    example().build(tmp_path / "record" / "audit.db")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_prints_what_it_did(run: Run, folder: Path, name: str) -> None:
    """Results, talk and exit code are those that were looked at last."""
    database = folder / "record" / "audit.db"
    with nullcontext() if name in MOVING else untouched(database):
        for command in COMMANDS[name].split(" && "):
            words = shlex.split(command)
            outcome = run(*(database if word == "audit.db" else word for word in words))
    text = f"$ landscape-compat {COMMANDS[name]}\n{outcome.out}"
    if outcome.err:
        text += f"--- standard error\n{outcome.err}"
    text += f"--- exit code {outcome.code}\n"
    text = text.replace(str(folder / "record"), "RECORD").replace(str(folder / "work"), "WORK")
    for pattern, instead in VARYING:
        text = pattern.sub(instead, text)
    same_as_kept(f"{name}.txt", text)


def test_every_command_is_kept() -> None:
    """Of each command at least one text is kept, or it is plain why not."""
    commands = next(a.choices for a in make_parser()._actions if a.dest == "command")
    # The first tells of the machine, the others print what another program made.
    elsewhere = {"doctor", "alembic", "completion"}
    assert commands
    kept = {command.split()[0] for text in COMMANDS.values() for command in text.split(" && ")}
    assert set(commands) - kept == elsewhere


def test_every_json_names_its_kind_and_version(run: Run, folder: Path) -> None:
    """Each object begins with what it is and the version of its form."""
    database = folder / "record" / "audit.db"
    asked = {
        "inspect": ("inspect", database),
        "inspect-table": ("inspect", database, "--table", "runs"),
        "check": ("check", database),
        "doctor": ("doctor", database),
        "diff": ("diff", database, database),
        "explain": ("explain", database, "--run", GOOD),
        "export": ("export", database, "-o", folder / "bag"),
        "versions": ("versions",),
        "alembic": ("alembic", database),
        "verify": ("verify", folder / "bag"),
        "migrate": ("migrate", database, "-o", folder / "new.db"),
        "reset": ("reset", database),
    }
    for kind, words in asked.items():
        found = json.loads(run(*words, "--json").out)
        assert list(found)[:2] == ["kind", "version"], kind
        assert (found["kind"], found["version"]) == (kind, 1)
