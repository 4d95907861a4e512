"""What Alembic would do to a database brings it to what is declared, and is only printed."""

from __future__ import annotations

import sqlite3
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

from landscape_compat.errors import ExitCode, LandscapeCompatError
from landscape_compat.landscape.history import shape_named
from landscape_compat.migrate.alembic import plan_alembic
from support.commands import Run, running
from support.legacy import build_small
from support.untouched import untouched
from test_legacy_generator import example

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

MODELS = """
import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table(
    "users", metadata, sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(40)), sa.Column("age", sa.Integer),
)
sa.Table("posts", metadata, sa.Column("id", sa.Integer, primary_key=True))
class Base:
    metadata = metadata
"""


@pytest.fixture
def metadata() -> sa.MetaData:
    """Give what a program declares that has nothing to do with audit databases."""
    names: dict[str, sa.MetaData] = {}
    exec(MODELS, names)
    return names["metadata"]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Give a database of an earlier version of that program."""
    folder = tmp_path / "record"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "app.db")) as connection:
        connection.executescript(
            "CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(40), born TEXT);"
            "CREATE TABLE gone (id INTEGER PRIMARY KEY); INSERT INTO users VALUES (1, 'a', 'b');"
        )
    return folder / "app.db"


def test_the_operations_bring_it_to_what_is_declared(old: Path, metadata: sa.MetaData) -> None:
    """Run on a copy, what is printed leaves Alembic nothing to do; the original is untouched."""
    with untouched(old):
        plan = plan_alembic(old, metadata)
    assert plan.operations == (
        "create_table posts",
        "drop_table gone",
        "add_column users.age",
        "drop_column users.born",
    )
    copy = old.with_name("copy.db")
    copy.write_bytes(old.read_bytes())
    engine = sa.create_engine(f"sqlite:///{copy}")
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        exec(plan.code, {"sa": sa, "op": Operations(context)})
        assert compare_metadata(context, metadata) == []
        assert connection.exec_driver_sql("SELECT name, age FROM users").all() == [("a", None)]
    engine.dispose()


def test_a_database_that_alembic_has_stamped(old: Path, metadata: sa.MetaData) -> None:
    """Its revision is told, and its table of revisions is none of the project's."""
    assert plan_alembic(old, metadata).stamps == ()
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('ae1027a6acf')")
    with untouched(old):
        plan = plan_alembic(old, metadata)
    assert plan.stamps == ("ae1027a6acf",)
    assert not any("alembic_version" in told for told in plan.operations)


def test_every_stamp_is_told(old: Path, metadata: sa.MetaData, run: Run) -> None:
    """A database of several branches has one of each."""
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('b2'), ('a1')")
    assert plan_alembic(old, metadata).stamps == ("a1", "b2")
    assert run("alembic", old).out.startswith("# stamped by Alembic: a1, b2\n")


def test_what_is_changed_is_named(old: Path) -> None:
    """A column, an index and a constraint by its own name, with its table's."""
    metadata = sa.MetaData()
    sa.Table("gone", metadata, sa.Column("id", sa.Integer, primary_key=True))
    sa.Table(
        *("users", metadata, sa.Column("id", sa.Integer, primary_key=True)),
        *(sa.Column("name", sa.Integer, index=True), sa.Column("born", sa.Text)),
        sa.UniqueConstraint("born", name="once"),
        sa.ForeignKeyConstraint(["name"], ["gone.id"], name="of_gone"),
    )
    with untouched(old):
        plan = plan_alembic(old, metadata)
    assert set(plan.operations) == {
        "alter_column gone.id",
        "alter_column users.name",
        "create_index users.ix_users_name",
        "create_unique_constraint users.once",
        "create_foreign_key users.of_gone",
    }
    assert "batch_alter_table" in plan.code


def test_nothing_to_do(tmp_path: Path, metadata: sa.MetaData) -> None:
    """A database that is current is left as it is too, though anybody may write to it."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    metadata.create_all(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    engine.dispose()
    with untouched(tmp_path / "app.db"):
        plan = plan_alembic(tmp_path / "app.db", metadata)
    assert plan.operations == ()


def test_what_cannot_be_compared_is_no_error(old: Path, metadata: sa.MetaData) -> None:
    """Of an index on an expression SQLAlchemy warns, which some programs make an error."""
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("CREATE INDEX i ON users (lower(name))")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = plan_alembic(old, metadata)
    assert (len(plan.operations), plan.cautions) == (4, ())


def test_without_alembic(old: Path, metadata: sa.MetaData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "alembic.autogenerate", None)
    with pytest.raises(LandscapeCompatError, match="not installed"):
        plan_alembic(old, metadata)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    with running(capsys) as run:
        yield run


def test_the_command(run: Run, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the metadata as other tools do, and prints code that compiles."""
    (tmp_path / "models_of_a_test.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    outcome = run("alembic", old, "--metadata", "models_of_a_test:metadata", "--exit-code")
    assert outcome.code == ExitCode.DEGRADED
    assert outcome.out.startswith("# stamped by Alembic: no\n# operations: 4\n")
    compile(outcome.out, "upgrade", "exec")
    result = run("alembic", old, "--metadata", "models_of_a_test:metadata", "--json").json
    assert result["stamps"] == []
    assert run("alembic", old, "--metadata", "models_of_a_test:Base.metadata").code == ExitCode.DONE
    wrong = ("models_of_a_test:sa", "models_of_a_test:none", "none:metadata", "none", ":x", "")
    for place in wrong:
        told = run("alembic", old, "--metadata", place)
        assert told.code == ExitCode.OPERATIONAL
        assert place == wrong[0] or f" {place!r} cannot be found: " in told.err
    both = ("--metadata", "models_of_a_test:metadata", "--target", "2026-01-21")
    assert run("alembic", old, *both).code == ExitCode.USAGE


def test_a_module_in_the_folder_of_the_caller(
    run: Run, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is found there, as by `python -m`."""
    (tmp_path / "models_found_here.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    outcome = run("alembic", old, "--metadata", "models_found_here:metadata")
    assert outcome.code == ExitCode.DONE


@pytest.mark.parametrize(
    "sql", ['CREATE TABLE runs ("" TEXT)', "CREATE TABLE runs (a TEXT REFERENCES nowhere)"]
)
def test_a_schema_that_alembic_cannot_express_was_told_as_one_that_cannot_be_read(
    run: Run, tmp_path: Path, sql: str
) -> None:
    """The database is sound, and everything else reads it."""
    path = tmp_path / "audit.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
    with untouched(path):
        outcome = run("alembic", path)
    assert (outcome.code, outcome.out) == (ExitCode.OPERATIONAL, "")
    assert "Alembic cannot express the schema of this database: " in outcome.err


def test_a_known_shape(run: Run, tmp_path: Path) -> None:
    """That of the database needs nothing done, a later one what came since."""
    path = build_small(tmp_path / "audit.db", shape_named("2026-01-18/df2fa70fb").shape).path
    told = {
        shape: run("alembic", path, "--target", shape, "--json").json["operations"]
        for shape in ("2026-01-18/df2fa70fb", "2026-01-21")
    }
    came = set(told["2026-01-21"]) - set(told["2026-01-18/df2fa70fb"])
    assert {"create_table token_outcomes", "add_column tokens.expand_group_id"} <= came
    assert not [one for one in told["2026-01-18/df2fa70fb"] if one.startswith("add_column")]


def test_a_landscape_by_default(run: Run, old: Path) -> None:
    outcome = run("alembic", old)
    assert "op.create_table('tokens'" in outcome.out


def test_what_alembic_warns_of_is_said_once_and_in_the_result(run: Run, tmp_path: Path) -> None:
    """Constraints without a name cannot be dropped by the code that is printed."""
    folder = tmp_path / "record"
    folder.mkdir()
    example().build(folder / "audit.db")
    with untouched(folder / "audit.db"):
        outcome = run("alembic", folder / "audit.db")
        cautions = run("alembic", folder / "audit.db", "--json").json["cautions"]
    assert outcome.err == ""
    assert any("unnamed constraint" in caution for caution in cautions)
    assert len(set(cautions)) == len(cautions)
    assert [f"# caution: {caution}" for caution in cautions] == [
        line for line in outcome.out.splitlines() if line.startswith("# caution")
    ]
    compile(outcome.out, "upgrade", "exec")
