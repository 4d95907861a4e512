"""`versions` lists every known shape, oldest first."""

from __future__ import annotations

from landscape_compat.landscape.history import known_shapes
from support.commands import Run


def test_as_text(run: Run) -> None:
    """A line a shape under a line of heads."""
    lines = run("versions").out.splitlines()
    assert lines[0].split() == ["SHAPE", "FROM", "TO", "EPOCHS", "TABLES", "COLUMNS"]
    assert [line.split()[0] for line in lines[1:]] == [known.name for known in known_shapes()]


def test_as_json(run: Run) -> None:
    """One object that names its kind and the version of its form."""
    result = run("versions", "--json").json
    assert (result["kind"], result["version"]) == ("versions", 1)
    assert len(result["shapes"]) == len(known_shapes()) == 57
    assert result["shapes"][-1] == {
        "shape": "2026-07-18/84d296d5b",
        "first_date": "2026-07-18",
        "last_date": "2026-07-18",
        "first_commit": "84d296d5b",
        "last_commit": "84d296d5b",
        "epochs": [29],
        "tables": 41,
        "columns": 493,
    }
