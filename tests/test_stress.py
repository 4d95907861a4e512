"""Each long campaign runs, for a short while, and finds nothing."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

STRESS = Path(__file__).parent / "stress"

CAMPAIGNS = (
    "mutated_databases --count 10 --seed 7",
    "kill_points --count 5 --seed 7",
    "kill_points --faults --count 5 --seed 7",
    "load --minutes 0.03 --threads 4 --processes 2",
)


def _run(script: str, *words: str) -> str:
    command = [sys.executable, "-W", "ignore", str(STRESS / f"{script}.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_a_campaign(campaign: str) -> None:
    assert _run(*campaign.split()).rstrip().endswith("wrong: 0")


def test_killed_migrations() -> None:
    said = _run("kill_migrate", "2", "--seed", "7")
    assert re.fullmatch(r"migrate: 2 kills, \{.*\}\nswap: 2 kills, \{.*\}\n", said)


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="NOT FUZZED: atheris is not installed here (pip install 'landscape-compat[fuzz]')",
)
@pytest.mark.parametrize(("target", "runs"), [("scanner", 2000), ("catalogue", 500), ("bag", 30)])
def test_a_fuzzer(target: str, runs: int) -> None:
    # What is started from counts as runs too.
    assert re.search(r": \d+ runs in .* status 0$", _run("fuzz", target, "--runs", str(runs)))
