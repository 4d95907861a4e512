"""What is to stand in for a value is given as TABLE.COLUMN=TEXT, and as nothing else."""

from __future__ import annotations

import pytest

from landscape_compat.cli.main import make_parser
from landscape_compat.errors import ExitCode
from support.commands import Run


def test_a_text_may_be_empty_and_hold_anything() -> None:
    words = ["--stand-in", "runs.a=", "--stand-in", "runs.b=x.y=z"]
    options = make_parser().parse_args(["migrate", "a.db", "-o", "b.db", *words])
    assert options.stand_ins == [("runs.a", ""), ("runs.b", "x.y=z")]


@pytest.mark.parametrize("given", ["runs.a", "runs=x", ".a=x", "runs.=x", "=", ""])
def test_another_form_is_a_usage_error(run: Run, given: str) -> None:
    outcome = run("migrate", "a.db", "-o", "b.db", "--host", "--stand-in", given)
    assert (outcome.code, outcome.out) == (ExitCode.USAGE, "")
    assert f"{given!r} is not of the form TABLE.COLUMN=TEXT" in outcome.err
