"""Each input that fuzzing was found to cover most with is taken, or refused by a typed error."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent
TARGETS = ("scanner", "catalogue", "bag")


@pytest.fixture(scope="module")
def fuzz() -> Iterator[ModuleType]:
    """Load the script, whose targets need no fuzzer."""
    spec = importlib.util.spec_from_file_location("fuzz_targets", ROOT / "stress" / "fuzz.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(sys, "path", sys.path[:])
        spec.loader.exec_module(module)
        yield module


@pytest.mark.parametrize("target", TARGETS)
def test_every_input_that_is_kept(target: str, fuzz: ModuleType) -> None:
    inputs = fuzz.kept(target)
    assert len(inputs) > 10
    run = fuzz.MAKERS[target]()
    for data in inputs:
        run(data)  # raises what it may not


def test_the_corpus_is_small(fuzz: ModuleType) -> None:
    files = sorted(fuzz.CORPUS.iterdir())
    assert [file.stem for file in files] == sorted(TARGETS)
    assert sum(file.stat().st_size for file in files) < 200_000
