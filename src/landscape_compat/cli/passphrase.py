"""The passphrase of an encrypted database: from the environment or a prompt, never an argument."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["VARIABLE", "ask_passphrase"]

# Where ELSPETH takes it from, unless its settings name another.
VARIABLE = "ELSPETH_AUDIT_KEY"


def ask_passphrase(databases: Sequence[str]) -> str | None:
    """Get the passphrase for databases, one of which may be encrypted.

    Args:
        databases: Paths and URLs, as they were given.

    Returns:
        What the environment holds; else what is typed, if one of them looks encrypted and
        somebody is there to type; else None.
    """
    from landscape_compat.engine.classify import looks_encrypted

    given = os.environ.get(VARIABLE)
    if given or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return given or None
    encrypted = [name for name in databases if "://" not in name and looks_encrypted(Path(name))]
    if not encrypted:
        return None

    import getpass

    from landscape_compat.errors import printable

    try:
        return getpass.getpass(f"Passphrase of {printable(encrypted[0])}: ", sys.stderr) or None
    except EOFError:
        return None
