"""A statement says what made it, also where that was not installed."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import landscape_compat
from landscape_compat.export.bag.statement import make_statement, own_version, subjects_of

PRINTED = """
import sys
sys.path[:] = sys.argv[1:]
from landscape_compat.export.bag.statement import own_version
print(own_version())
"""


def test_the_version_is_the_one_that_is_installed() -> None:
    assert own_version() == importlib.metadata.version("landscape-compat")


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (make_statement({"a": "0" * 64, "b": "1" * 64}, "urn:one", {}), ("a", "b")),
        (make_statement({"a": "0" * 64}, "urn:another", {}), None),
        (b'{"predicateType": "urn:one"}', None),
        (b'{"predicateType": "urn:one", "subject": [7]}', None),
        (b'["urn:one"]', None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (b"", None),
    ],
)
def test_bytes_of_anybodys_are_a_statement_of_ours_only_by_their_form(
    data: bytes, names: tuple[str, ...] | None
) -> None:
    assert subjects_of(data, "urn:one") == names


def test_a_checkout_that_was_never_installed_says_so(tmp_path: Path) -> None:
    """Beside what it needs, which is installed."""
    for place in filter(None, sys.path):
        if Path(place).name in ("site-packages", "dist-packages"):
            for path in Path(place).iterdir():
                if not path.name.startswith(("landscape_compat", "__editable__")):
                    (tmp_path / path.name).symlink_to(path)
    source = Path(landscape_compat.__file__).parents[1]
    library = [place for place in sys.path if not Path(place).name.endswith("-packages")]
    done = subprocess.run(
        [sys.executable, "-c", PRINTED, *library, str(tmp_path), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("not installed, run from a checkout\n", "")
