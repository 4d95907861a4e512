"""A real terminal of a given size for a command to run in."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread

__all__ = ["Shown", "in_terminal"]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a terminal showed, and how the command ended."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        """Give the lines shown."""
        return self.text.replace("\r\n", "\n").splitlines()


def in_terminal(
    words: Sequence[object],
    *,
    columns: int,
    without: Sequence[str] = (),
    environment: dict[str, str] | None = None,
    code: str = "from landscape_compat.cli import main; sys.exit(main(sys.argv[1:]))",
) -> Shown:
    """Run the command line with its standard output and error on a terminal.

    Args:
        words: The command's words.
        columns: How wide the terminal is.
        without: Modules that the command shall not find.
        environment: Variables to set for it.
        code: What to run in place of the command line.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    hiding = f"import sys; sys.modules.update(dict.fromkeys({list(without)!r}))"
    kept = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES", "NO_COLOR"}}
    child = subprocess.Popen(
        [sys.executable, "-c", f"{hiding}\n{code}", *map(str, words)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**kept, "TERM": "xterm-256color", **(environment or {})},
    )
    os.close(theirs)
    read: list[bytes] = []
    reader = Thread(target=_read_all, args=(ours, read))
    reader.start()
    child.wait()
    reader.join()
    os.close(ours)
    return Shown(child.returncode, b"".join(read).decode())


def _read_all(descriptor: int, into: list[bytes]) -> None:
    # A terminal that nobody writes to any more gives an error, not an end.
    with suppress(OSError):
        while chunk := os.read(descriptor, 1 << 16):
            into.append(chunk)
