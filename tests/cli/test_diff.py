"""`diff` prints what only one of two databases has, and writes to neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from landscape_compat import diff_databases
from landscape_compat.errors import ExitCode
from landscape_compat.landscape.history import shape_named
from support.commands import Run
from support.legacy import Written, build_small
from support.untouched import untouched


@pytest.fixture
def later(tmp_path: Path) -> Path:
    return build_small(tmp_path / "later.db", shape_named("2026-01-21").shape).path


def test_as_text(run: Run, legacy: Written, later: Path) -> None:
    """In the manner of a diff of texts: a head with both, then a line each difference."""
    with untouched(legacy.path):
        outcome = run("diff", legacy.path, later)
    assert outcome.out.splitlines() == [
        f"--- {legacy.path}  2026-01-18/df2fa70fb",
        f"+++ {later}  2026-01-21/3dd0e981e",
        "+ token_outcomes",
        "+ tokens.expand_group_id VARCHAR(32)",
    ]
    assert (outcome.code, outcome.err) == (ExitCode.DONE, "")
    assert run("diff", later, legacy.path).out.splitlines()[2:] == [
        "- token_outcomes",
        "- tokens.expand_group_id VARCHAR(32)",
    ]


def test_the_same_schema(run: Run, legacy: Written) -> None:
    outcome = run("diff", legacy.path, legacy.path, "--exit-code")
    assert outcome.out.endswith("The schemas are the same.\n")
    assert outcome.code == ExitCode.DONE


def test_the_exit_code_if_asked_for(run: Run, legacy: Written, later: Path) -> None:
    assert run("diff", legacy.path, later, "--exit-code").code == ExitCode.DEGRADED


def test_the_json_is_the_python_result(run: Run, legacy: Written, later: Path) -> None:
    result = run("diff", legacy.path, later, "--json").json
    assert result == {"kind": "diff", "version": 1, **diff_databases(legacy.path, later).to_dict()}
    assert result["tables"][0]["only_second"] == ["expand_group_id"]
