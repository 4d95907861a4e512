"""Letters: what the names of tables and columns are made of, for regular expressions."""

from __future__ import annotations

import re
import string

__all__ = ["ASCII_UPPER", "BEGINS_NAME", "IN_NAME"]

ASCII_UPPER = {lower: lower - 32 for lower in range(ord("a"), ord("z") + 1)}


def _letters(those: str) -> str:
    """Write a set of some ASCII characters and of all that are not ASCII.

    To a database, what is not ASCII is a letter, whatever Unicode says of it.

    Args:
        those: The ASCII characters.
    """
    # By what it leaves out: `re` takes ten milliseconds to compile a set of a million characters.
    others = "".join(character for character in map(chr, range(128)) if character not in those)
    return f"[^{re.escape(others)}]"


BEGINS_NAME = _letters(string.ascii_letters + "_")
IN_NAME = _letters(string.ascii_letters + string.digits + "_$")
