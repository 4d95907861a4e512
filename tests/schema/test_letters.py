"""Letters: the sets that the names of tables and columns are read by."""

from __future__ import annotations

import re
import string
import sys

from landscape_compat.schema.letters import BEGINS_NAME, IN_NAME


def test_all_that_is_not_ascii_is_a_letter() -> None:
    """Each character of Unicode is in a set if it is not ASCII, or one of those that are named."""
    begin = set(string.ascii_letters + "_")
    for pattern, those in ((BEGINS_NAME, begin), (IN_NAME, begin | set(string.digits + "$"))):
        found = re.findall(pattern, "".join(map(chr, range(sys.maxunicode + 1))))
        assert found == [*sorted(those), *map(chr, range(128, sys.maxunicode + 1))]
