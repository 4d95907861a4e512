"""Running a server of the tests' own, whatever its kind: as whom, and until when."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["ServerError", "run_program", "running", "unprivileged"]

# Reads its standard input to the end: the server stops also where this process is killed. No second
# process waits to kill it: one that is told to go in its first moments may not have heard.
_WATCH = """
trap '' INT
folder=$1; signal=$2; tenths=$3; shift 3
"$@" & server=$!
read -r _
kill -"$signal" "$server" 2>/dev/null
while [ "$tenths" -gt 0 ] && kill -0 "$server" 2>/dev/null; do
    sleep 0.1
    tenths=$((tenths - 1))
done
kill -KILL "$server" 2>/dev/null
wait "$server"
rm -rf "$folder"
"""
_PATIENCE = 30.0


class ServerError(Exception):
    """No server could be started; says why."""


def unprivileged() -> dict[str, Any]:
    """Give what `subprocess` is told so that a program runs as nobody, where this one is root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def run_program(command: Sequence[Any], run_as: Mapping[str, Any], *, check: bool = True) -> bool:
    """Run a program to its end; tell whether that was a good one.

    Args:
        command: The program and its arguments.
        run_as: As whom.
        check: Whether to raise where it was none.

    Raises:
        ServerError: It was none; says what the program said.
    """
    try:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            cwd="/",
            **run_as,
        )
    except OSError as error:
        if check:
            raise ServerError(str(error)) from error
        return False
    if check and done.returncode:
        raise ServerError(f"{command[0]} ended with {done.returncode}:\n{done.stdout}")
    return done.returncode == 0


@contextmanager
def running(
    command: Sequence[Any],
    folder: Path,
    run_as: Mapping[str, Any],
    signal: str,
    patience: float = _PATIENCE,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends, or this process does; what it says is in `folder/log`.

    Args:
        command: The program and its arguments.
        folder: Its own, which goes with it.
        run_as: As whom.
        signal: By which it is stopped.
        patience: After how many seconds it is killed if that did not stop it.
    """
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            ["sh", "-c", _WATCH, "sh", folder, signal, str(round(patience * 10)), *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            **run_as,
        ) as watch,
    ):
        try:
            yield watch
        finally:
            assert watch.stdin is not None
            watch.stdin.close()
            watch.wait()
