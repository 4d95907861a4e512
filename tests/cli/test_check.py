"""`check` prints one line a database, and exits with 5 if one is degraded."""

from __future__ import annotations

from pathlib import Path

from landscape_compat.errors import ExitCode
from landscape_compat.landscape.history import known_shapes
from support.commands import Run
from support.legacy import Written, build_small
from support.untouched import untouched


def test_as_text(run: Run, legacy: Written, tmp_path: Path) -> None:
    """The verdict first, then which, then what it is and lacks; the sum on stderr."""
    new = build_small(tmp_path / "new.db", known_shapes()[-1].shape).path
    none = tmp_path / "none.db"
    with untouched(legacy.path):
        outcome = run("check", new, legacy.path, none)
    current, degraded, unknown = outcome.out.splitlines()
    assert current == f"current   {new}  {known_shapes()[-1].name} (exact)"
    assert degraded.startswith(f"degraded  {legacy.path}  2026-01-18/df2fa70fb (exact)  lacks 2")
    assert unknown.startswith(f"unknown   {none}  ")
    assert outcome.err == "1 current, 1 degraded, 1 unknown\n"
    assert outcome.code == ExitCode.OPERATIONAL


def test_the_exit_code(run: Run, legacy: Written, tmp_path: Path) -> None:
    new = build_small(tmp_path / "new.db", known_shapes()[-1].shape).path
    assert run("check", "-q", new).code == ExitCode.DONE
    assert run("check", "-q", new, legacy.path).code == ExitCode.DEGRADED
    quiet = run("check", "-q", legacy.path, "--target", "df2fa70fb")
    assert (quiet.code, quiet.err) == (ExitCode.DONE, "")
    assert run("check", legacy.path, "--jobs", "0").code == ExitCode.USAGE


def test_a_number_that_is_none_was_told_by_the_name_of_a_function(
    run: Run, legacy: Written
) -> None:
    for number in ("x", "0", ""):
        told = run("check", legacy.path, "-j", number)
        assert told.code == ExitCode.USAGE
        assert f"-j/--jobs: a number of at least 1 is wanted, not {number!r}\n" in told.err


def test_one_of_each_is_no_plural(run: Run, legacy: Written) -> None:
    line = run("check", legacy.path, "--target", "2026-01-21").out
    assert line.endswith("  lacks 1 table and 1 column\n")


def test_a_name_cannot_act_on_a_terminal(run: Run, legacy: Written) -> None:
    """Of a file that can be read, and of one that cannot."""
    odd = legacy.path.with_name("a\x1b[31m.db")
    legacy.path.rename(odd)
    for line in run("check", odd, f"{odd}.none").out.splitlines():
        assert "a\\x1b[31m.db" in line
        assert line.isprintable()


def test_as_json(run: Run, legacy: Written) -> None:
    """One object, with each database and how many there are of each verdict."""
    outcome = run("check", legacy.path, "--json")
    result = outcome.json
    assert (result["kind"], result["version"], outcome.err) == ("check", 1, "")
    assert result["counts"] == {"current": 0, "degraded": 1, "unknown": 0}
    (one,) = result["databases"]
    assert one["database"] == str(legacy.path)
    assert one["shape"] == ["2026-01-18/df2fa70fb"]
    assert one["missing_columns"] > 0
