"""Completion scripts know every command, and say so where what makes them is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from landscape_compat.cli.main import make_parser
from landscape_compat.errors import ExitCode
from support.commands import Run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_a_script_knows_every_command(run: Run, shell: str) -> None:
    """Each command of the parser is in the script."""
    pytest.importorskip("shtab")
    outcome = run("completion", shell)
    assert outcome.code == 0
    commands = next(a.choices for a in make_parser()._actions if a.dest == "command")
    assert commands
    assert [name for name in commands if name not in outcome.out] == []


def test_bash_completes_a_command(run: Run) -> None:
    """A real bash completes the beginning of a word."""
    pytest.importorskip("shtab")
    script = run("completion", "bash").out
    asked = "COMP_WORDS=(landscape-compat insp); COMP_CWORD=1; _shtab_landscape_compat"
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{asked} landscape-compat insp; echo ${{COMPREPLY[*]}}"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["inspect"]


def test_without_shtab_the_way_is_shown() -> None:
    """The error names what to install."""
    code = (
        "import sys; sys.modules['shtab'] = None; "
        "from landscape_compat.cli import main; sys.exit(main(['completion', 'bash']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (ExitCode.OPERATIONAL, "")
    assert "landscape-compat[completion]" in done.stderr


def test_an_unknown_shell_is_a_usage_error(run: Run) -> None:
    """A shell that is not known is told with those that are."""
    outcome = run("completion", "cmd")
    assert outcome.code == ExitCode.USAGE
    assert "bash" in outcome.err
