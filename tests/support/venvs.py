"""Make a virtual environment with what Python brings along, fill it, and use it again later.

Only the standard library is imported, so that scripts can use this before anything is installed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["VenvError", "cache_folder", "child_environment", "environment"]


class VenvError(Exception):
    """A virtual environment could not be made or filled; says what to do."""


@contextmanager
def cache_folder(root: Path) -> Iterator[Path]:
    """Give a folder for environments: in the project, or a passing one if that is read-only.

    Args:
        root: The project.
    """
    folder = root / ".cache"
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        with tempfile.TemporaryDirectory(prefix="landscape-compat-") as passing:
            yield Path(passing)
    else:
        yield folder


def environment(
    folder: Path, requirements: Sequence[str], *, made_from: str, python: str = sys.executable
) -> Path:
    """Give the interpreter of an environment that holds these requirements.

    Args:
        folder: The environment; made anew unless it was made from the same.
        requirements: What to install, as pip takes it.
        made_from: What else the environment depends on, such as a digest of project files.
        python: The interpreter to make it with.

    Raises:
        VenvError: Python lacks what is needed, or pip failed.
    """
    interpreter = folder / "bin" / "python"
    stamp = folder / "made-from.json"
    wanted = json.dumps([os.path.realpath(python), str(folder), list(requirements), made_from])
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _read(stamp) == wanted and _works(interpreter, "-c", ""):
            return interpreter
        try:
            if folder.exists():
                shutil.rmtree(folder)
        except OSError as error:
            raise VenvError(
                f"{folder} cannot be replaced ({error}). Remove it, then run this again."
            ) from error
        pip = _create(folder, interpreter, python)
        done = _run(*pip, "install", "--no-input", "--no-user", "--quiet", *requirements)
        if done.returncode:
            raise VenvError(
                f"pip could not install {' '.join(requirements)}:\n{done.stdout.strip()}\n"
                "Packages come from the index that pip is set up for; check that it can be reached."
            )
        stamp.write_text(wanted, encoding="utf-8")
    return interpreter


def child_environment() -> dict[str, str]:
    """Copy the environment, less what would let another Python's modules in."""
    # Everything else stays: proxies, indexes and certificates are set by variables too.
    strangers = {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name not in strangers}


def _create(folder: Path, interpreter: Path, python: str) -> list[str]:
    """Make an environment, and give the command that is pip in it."""
    usual = _run(python, "-m", "venv", str(folder))
    if usual.returncode == 0:
        return [str(interpreter), "-m", "pip"]
    shutil.rmtree(folder, ignore_errors=True)
    # Debian and its kin keep the bundled pip in a package of its own.
    if _works(python, "-m", "pip", "--version") and _works(
        python, "-m", "venv", "--without-pip", str(folder)
    ):
        return [python, "-m", "pip", "--python", str(interpreter)]
    if _works(python, "-m", "virtualenv", str(folder)):
        return [str(interpreter), "-m", "pip"]
    raise VenvError(
        f"{python} cannot make a virtual environment:\n{usual.stdout.strip()}\n"
        "On Debian and Ubuntu install it with: apt install python3-venv\n"
        "Elsewhere: install Python with its standard installer, or run "
        f"{python} -m pip install virtualenv"
    )


def _works(*command: str | Path) -> bool:
    return _run(*command).returncode == 0


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return None


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            check=False,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 1, str(error))
