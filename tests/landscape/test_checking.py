"""Many databases are checked at once, in the order given, and none keeps another from it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from multiprocessing import active_children
from pathlib import Path

import pytest
from sqlalchemy import make_url

from landscape_compat import check_databases
from landscape_compat.errors import ExitCode, LandscapeCompatError
from landscape_compat.landscape.checking import worst_of
from landscape_compat.landscape.history import known_shapes
from support.legacy import Written, build_small
from support.untouched import untouched


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """Give a folder of twelve databases of different shapes, and two files that are none."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    for number, known in enumerate(known_shapes()[-12:]):
        build_small(folder / f"{number:02}.db", known.shape)
    (folder / "20.db").write_bytes(b"no database" * 100)
    (folder / "21.db").touch()
    return folder


def test_many_at_a_time(fleet: Path) -> None:
    """By processes of their own, each as `inspect` finds it, in the order given."""
    with untouched(fleet / "00.db"):
        checking = check_databases([fleet / "*.db"], jobs=2)
        found = [next(checking)]
        assert len(active_children()) == 2
        found += checking
    assert [Path(one.database).name for one in found] == sorted(p.name for p in fleet.iterdir())
    assert [one.verdict for one in found] == [*["degraded"] * 11, "current", *["unknown"] * 2]
    assert [one.shape for one in found[:12]] == [(k.name,) for k in known_shapes()[-12:]]
    assert all(one.problem for one in found[12:])
    assert found == list(check_databases(sorted(fleet.iterdir()), jobs=1))


def test_by_a_url(fleet: Path) -> None:
    """It is no pattern, and its password is not shown."""
    server = make_url("postgresql://nobody:pa55word@localhost:1/x")
    urls = [make_url(f"sqlite:///{fleet / '00.db'}"), server]
    file, nowhere = check_databases(urls)
    assert (file.verdict, file.shape) == ("degraded", (known_shapes()[-12].name,))
    assert nowhere.verdict == "unknown"
    assert nowhere.problem
    assert "pa55word" not in str(nowhere.to_dict())


def test_a_pattern_of_folders(tmp_path: Path) -> None:
    """Files at any depth, in the order of their names, and no folder."""
    for name in ("b/c.db", "a.db", "b/a/d.db"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        build_small(tmp_path / name, known_shapes()[-1].shape)
    (tmp_path / "e.db").mkdir()
    found = list(check_databases([tmp_path / "**" / "*.db"]))
    assert [one.database for one in found] == [
        str(tmp_path / name) for name in ("a.db", "b/a/d.db", "b/c.db")
    ]


def test_a_symlink_to_a_database_that_had_gone_was_passed_over(legacy: Written) -> None:
    """As was a pipe; a fleet that had lost some passed for one that never had them."""
    folder = legacy.path.parent
    (folder / "b.db").symlink_to(folder / "gone.db")
    os.mkfifo(folder / "c.db")
    (folder / "d.db").mkdir()
    with untouched(legacy.path):
        found = list(check_databases(folder / "*.db"))
    assert [Path(one.database).name for one in found] == ["audit.db", "b.db", "c.db"]
    assert [one.verdict for one in found] == ["degraded", "unknown", "unknown"]
    assert "does not exist" in found[1].problem


def test_a_name_with_a_star_in_it(tmp_path: Path) -> None:
    """A file of that very name comes before what it would match as a pattern."""
    build_small(tmp_path / "a*.db", known_shapes()[-1].shape)
    build_small(tmp_path / "ab.db", known_shapes()[0].shape)
    (found,) = check_databases(tmp_path / "a*.db")
    assert found.verdict == "current"


def test_a_pattern_without_a_match(tmp_path: Path) -> None:
    """It is told, because a fleet that is not there would else be taken for a sound one."""
    (found,) = check_databases([tmp_path / "none*.db"])
    assert (found.verdict, found.exit_code) == ("unknown", ExitCode.OPERATIONAL)


def test_a_pattern_too_long_for_a_name_keeps_no_other_from_being_checked(legacy: Written) -> None:
    with untouched(legacy.path):
        long, found = check_databases(["x" * 300 + "*.db", legacy.path])
    assert (long.verdict, long.exit_code) == ("unknown", ExitCode.OPERATIONAL)
    assert long.problem
    assert found.verdict == "degraded"


# All that is needed is loaded before: as another user, Python's own folder may be out of reach.
_CHECK = """
import os, sys
from landscape_compat import check_databases
list(check_databases(["/nowhere"]))
if os.geteuid() == 0:
    os.setuid(65534)
for one in check_databases(sys.argv[1:]):
    print(one.verdict, one.database)
"""


def test_a_folder_that_may_not_be_searched_keeps_no_other_from_being_checked(
    tmp_path: Path,
) -> None:
    """Each pattern in such a one is told as a name that cannot be read."""
    secret = tmp_path / "secret"
    secret.mkdir()
    build_small(secret / "audit.db", known_shapes()[0].shape)
    patterns = [str(secret / "*.db"), str(secret / "audit.d?")]
    secret.chmod(0)
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _CHECK, *patterns],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        secret.chmod(0o700)
    assert done.stdout.splitlines() == [f"unknown {pattern}" for pattern in patterns], done.stderr


def test_a_password_is_not_told() -> None:
    (found,) = check_databases(["postgresql://me:secret@127.0.0.1:1/audit"])
    assert found.verdict == "unknown"
    assert "secret" not in f"{found.database} {found.problem}"


def test_against_another_target(legacy: Written) -> None:
    (found,) = check_databases([legacy.path], target="df2fa70fb")
    assert found.verdict == "current"
    with pytest.raises(LandscapeCompatError):
        check_databases([legacy.path], target="no such shape")


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 5], 5),
        ([5, 6], 6),
        ([0, 1, 4], 1),
        ([0, 4, 6], 1),
    ],
)
def test_the_exit_code(codes: list[int], code: int) -> None:
    """What could not be looked at counts for more than what is degraded."""
    assert worst_of(Counter(codes)) == code
