"""Real audit databases that builds of many days wrote, on machines that have them."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from landscape_compat.landscape.history import known_shapes
from landscape_compat.schema.catalogue import catalogue_for
from landscape_compat.schema.known import identify
from landscape_compat.schema.shape import SchemaShape

__all__ = [
    "copied",
    "corpus_databases",
    "corpus_folder",
    "reading",
    "require_corpus",
    "shapes_between",
    "stored_in",
    "written_by",
]


def corpus_folder() -> Path:
    """Name the folder: LANDSCAPE_COMPAT_CORPUS, or `shared/corpus` beside the repository."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "corpus"
    return Path(os.environ.get("LANDSCAPE_COMPAT_CORPUS") or default)


def corpus_databases() -> list[Path]:
    """List the databases, oldest first; none on a machine that has no corpus."""
    return sorted(corpus_folder().glob("*/*.db"))


def require_corpus() -> list[Path]:
    """List the databases, or skip the test and say what it would have needed."""
    found = corpus_databases()
    if not found:
        pytest.skip(
            f"no real databases in {corpus_folder()}: name their folder in LANDSCAPE_COMPAT_CORPUS"
        )
    return found


def written_by(database: Path) -> tuple[str, str]:
    """Tell the day and the commit of the build that wrote a database, by its folder's name."""
    day, _, commit = database.parent.name.partition("_")
    return day, commit


def shapes_between(database: Path) -> list[str]:
    """Name three known shapes between a database's own and the newest; fewer if there are."""
    with reading(database) as connection:
        own = identify(stored_in(connection), known_shapes()).nearest[-1]
    later = known_shapes()[known_shapes().index(own) + 1 : -1]
    step = max(1, (len(later) + 1) // 4)
    return [known.name for known in later[step - 1 :: step][:3]]


@contextmanager
def reading(database: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that nobody writes to so that no trace is left, not even a lock."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro&immutable=1", uri=True)) as opened:
        yield opened


def copied(database: Path, folder: Path) -> Path:
    """Copy a database into a folder, to be written to there."""
    copy = folder / f"{database.parent.name}_{database.name}"
    shutil.copyfile(database, copy)
    return copy


def stored_in(connection: sqlite3.Connection) -> SchemaShape:
    """Read what a database stores."""
    return catalogue_for("sqlite").read_stored(connection)
