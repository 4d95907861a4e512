"""A DuckDB file that lacks what is declared is read as if it did not, and stays as it is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from landscape_compat import (
    AttachError,
    DegradedDatabaseError,
    DegradedReadWarning,
    SourceChangedError,
    UnreadableError,
    WriteRefusedError,
    attach,
    derived,
    inspect_database,
    mapped,
    open_landscape,
    renamed,
)
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

OLD = """
CREATE TABLE runs (run_id VARCHAR PRIMARY KEY, status VARCHAR);
INSERT INTO runs VALUES ('r1', 'done'), ('r2', 'failed');
CREATE TABLE tokens (token_id INTEGER PRIMARY KEY, run_id VARCHAR, kind VARCHAR);
INSERT INTO tokens VALUES (1, 'r1', 'plain'), (2, 'r1', NULL), (3, 'r2', 'plain');
CREATE VIEW kinds AS SELECT kind FROM tokens;
CREATE MACRO all_tokens() AS TABLE SELECT * FROM tokens;
CREATE MACRO half() AS (SELECT count(*) // 2 FROM all_tokens());
CREATE MACRO twice(x) AS 2 * x;
"""


class Base(DeclarativeBase):
    """What the program of today declares."""


class Token(Base):
    """A row of `tokens`, with a column that is not stored, one renamed, and one derived."""

    __tablename__ = "tokens"

    token_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    run_id: Mapped[str]
    grp: Mapped[str | None]
    label: Mapped[str | None]
    status: Mapped[str | None]


class Note(Base):
    """A row of a table that is not stored."""

    __tablename__ = "notes"

    note_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tags: Mapped[Any] = mapped_column(sa.JSON)


TOKENS = Base.metadata.tables["tokens"]
_RUNS = sa.table("runs", sa.column("run_id"), sa.column("status"))
_OWN = sa.table("tokens", sa.column("run_id"))
RULES = [
    renamed("tokens.label", "kind"),
    derived("tokens.status", select(_RUNS.c.status).where(_RUNS.c.run_id == _OWN.c.run_id)),
]


def make(file: Path, script: str = OLD) -> Path:
    """Make a database."""
    with duckdb.connect(str(file)) as connection:
        connection.execute(script)
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give an older database in a folder of its own."""
    folder = tmp_path / "record"
    folder.mkdir()
    return make(folder / "older.duckdb")


@pytest.fixture
def engine(file: Path) -> Iterator[Engine]:
    """Give an engine on it, and see that it is left as it was."""
    engine = create_engine(f"duckdb:///{file}")
    with untouched(file):
        yield engine
        engine.dispose()


def test_core_orm_and_text_see_what_is_declared(engine: Engine) -> None:
    """Absent is NULL, and a rule's value is the rule's."""
    with attach(engine, Base.metadata, rules=RULES), engine.connect() as connection:
        by_core = select(TOKENS).where(TOKENS.c.grp.is_(None)).order_by(TOKENS.c.token_id)
        rows = [(1, "r1", None, "plain", "done"), (2, "r1", None, None, "done")]
        rows += [(3, "r2", None, "plain", "failed")]
        assert connection.execute(by_core).all() == rows
        text = "SELECT token_id FROM tokens WHERE status = :status AND grp IS NULL"
        assert connection.execute(sa.text(text), {"status": "failed"}).all() == [(3,)]
        assert connection.exec_driver_sql(
            "SELECT label FROM tokens WHERE token_id = $1", (1,)
        ).all()
        with Session(connection) as session:
            found = session.scalars(select(Token).order_by(Token.token_id)).first()
            assert found is not None
            assert (found.label, found.status, found.grp) == ("plain", "done", None)
            assert session.scalars(select(Note)).all() == []


def test_each_table_warns_once(engine: Engine) -> None:
    """At its first use."""
    with attach(engine, Base.metadata, rules=RULES), engine.connect() as connection:
        with pytest.warns(DegradedReadWarning, match="tokens") as told:
            connection.execute(select(TOKENS)).all()
        assert len(told) == 1
        connection.execute(select(TOKENS.c.grp)).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM tokens", 3),
        ("FROM x: main.tokens SELECT x.grp", 3),
        ("FROM older.tokens SELECT grp", 3),
        ('SELECT "OLDER".main.tokens.grp FROM older.Main."TOKENS"', 3),
        ("SELECT tokens FROM tokens", 3),
        ("SELECT COLUMNS('grp') FROM tokens", 3),
        ("SELECT y FROM (FROM tokens SELECT grp AS y)", 3),
        ("WITH tokens AS (FROM tokens SELECT grp) FROM tokens", 3),
        ("WITH other AS (SELECT 1) FROM tokens", 3),
        ("SELECT grp FROM 'tokens'", 3),
        ("SELECT\u00a0grp\u2003FROM\u00a0main.tokens", 3),
        ("SELECT rowid, grp FROM tokens", 3),
        ("SELECT grp FROM tokens QUALIFY row_number() OVER (ORDER BY token_id) = 1", 1),
        ("TABLE tokens", 3),
        ("SELECT grp, x FROM tokens, LATERAL (SELECT status AS x)", 3),
        ("FROM (PIVOT tokens ON label USING count(*) GROUP BY status)", 2),
        ("FROM (UNPIVOT tokens ON grp, label)", 2),
        ("FROM tokens PIVOT (count(*) FOR grp IN ('a') GROUP BY status)", 2),
        ("SELECT * EXCLUDE (label) FROM tokens", 3),
        ("SELECT a.grp FROM tokens a SEMI JOIN runs r ON r.status = a.status", 3),
        ("SELECT grp FROM tokens /* runs /* nested */ ' */ -- tokens", 3),
        ("SELECT $$ FROM tokens $$, E'\\'', grp FROM tokens", 3),
        ("SELECT twice(token_id) FROM tokens WHERE grp IS NULL", 3),
        ("EXPLAIN SELECT grp FROM tokens", 1),
    ],
)
def test_what_only_duckdb_says(engine: Engine, file: Path, text: str, expected: int) -> None:
    """Its own forms of a statement answer as on a copy into which the columns were migrated."""
    copy = make(file.parent.parent / "copy.duckdb", OLD)
    with duckdb.connect(str(copy)) as connection:
        connection.execute(
            """ALTER TABLE tokens RENAME kind TO label; ALTER TABLE tokens ADD COLUMN grp VARCHAR;
            ALTER TABLE tokens ADD COLUMN status VARCHAR;
            UPDATE tokens SET status = (SELECT r.status FROM runs AS r
                WHERE r.run_id = tokens.run_id)"""
        )
    only_label = [renamed("tokens.label", "kind"), RULES[1]]
    with attach(engine, Base.metadata, rules=only_label), engine.connect() as connection:
        found = connection.exec_driver_sql(text)
        rows = found.fetchall()
        assert len(rows) == expected
        if text.startswith("EXPLAIN"):
            return
        migrated = duckdb.connect(str(copy), read_only=True, config={})
        try:
            there = migrated.execute(text.replace("older", "copy").replace("OLDER", "copy"))
            names = [column[0] for column in there.description or ()]
            owed = [dict(zip(names, row, strict=True)) for row in there.fetchall()]
        finally:
            migrated.close()
        keys = list(found.keys())
        answered = [dict(zip(keys, row, strict=True)) for row in rows]
        for row in answered:
            row.pop("kind", None)  # stored, and no longer declared
        assert sorted(map(_flat, answered)) == sorted(map(_flat, owed))


def _flat(row: dict[str, Any]) -> str:
    values = (value if isinstance(value, dict) else {name: value} for name, value in row.items())
    flat = {name: value for one in values for name, value in one.items() if name != "kind"}
    return repr(sorted(flat.items()))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("SELECT * FROM query('FROM main.tokens')", "takes a table's name or another statement"),
        ("FROM query_table('tokens')", "takes a table's name or another statement"),
        ("FROM (DESCRIBE tokens)", "takes a table's name or another statement"),
        ("SUMMARIZE tokens", "starts with 'SUMMARIZE'"),
        ("FROM all_tokens()", "calls 'all_tokens'"),
        ("SELECT half()", "calls 'half'"),
        ("USE older", "tables of another schema"),
        ("SET search_path = 'main'", "tables of another schema"),
        ("PRAGMA search_path = 'main'", "tables of another schema"),
        ("SELECT main.tokens.grp FROM main.tokens, runs AS main", "by the name of the schema"),
        ("SELECT rowid FROM tokens, runs", "row number"),
        ("SELECT 1; FROM tokens", "Several statements"),
    ],
)
def test_what_cannot_be_followed_is_refused(engine: Engine, text: str, why: str) -> None:
    """Rather than answered from what is stored."""
    with (
        attach(engine, Base.metadata, rules=RULES),
        engine.connect() as connection,
        pytest.raises(UnreadableError, match=why),
    ):
        connection.exec_driver_sql(text)


def test_a_macro_that_reads_no_degraded_table_may_be_called(engine: Engine) -> None:
    """And so may a view be read: it shows what is stored."""
    with attach(engine, Base.metadata, rules=RULES), engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT twice(4)").scalar() == 8
        assert len(connection.exec_driver_sql("FROM kinds").fetchall()) == 3


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM tokens",
        "CREATE TEMP TABLE x (a INTEGER)",
        "ATTACH ':memory:' AS other",
        "COPY tokens TO '/dev/null'",
        "EXPORT DATABASE '/dev/null'",
        "EXPLAIN ANALYZE DELETE FROM tokens",
        "PREPARE x AS FROM tokens",
    ],
)
def test_a_write_is_refused_before_it_is_sent(engine: Engine, text: str) -> None:
    """With the remedy."""
    with attach(engine, Base.metadata), engine.connect() as connection:
        with pytest.raises(WriteRefusedError) as refused:
            connection.exec_driver_sql(text)
        assert "migrate a copy" in (refused.value.remedy or "")


def test_what_slips_through_is_refused_by_duckdb(file: Path) -> None:
    """In our words; and past SQLAlchemy, in its own."""
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE SEQUENCE numbers")
    engine = create_engine(f"duckdb:///{file}")
    with untouched(file), attach(engine, Base.metadata), engine.connect() as connection:
        with pytest.raises(WriteRefusedError, match="open read-only"):
            connection.exec_driver_sql("SELECT nextval('numbers')")
        connection.rollback()
        raw: Any = connection.connection.dbapi_connection
        with pytest.raises(duckdb.Error, match="read-only"):
            raw.cursor().execute("DELETE FROM tokens")
        connection.close()
        engine.dispose()


def test_a_log_that_was_left_behind_is_read_and_left(tmp_path: Path) -> None:
    """What a killed program had committed is seen, and nothing is written back."""
    folder = tmp_path / "record"
    folder.mkdir()
    file = folder / "older.duckdb"
    script = f"""
import os, duckdb
connection = duckdb.connect({str(file)!r})
connection.execute("SET checkpoint_threshold = '1TB'; PRAGMA disable_checkpoint_on_shutdown")
connection.execute({OLD!r})
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert (folder / "older.duckdb.wal").stat().st_size > 0
    engine = create_engine(f"duckdb:///{file}")
    with untouched(file), attach(engine, Base.metadata), engine.connect() as connection:
        assert len(connection.execute(select(TOKENS)).all()) == 3
        connection.close()
        engine.dispose()


def test_what_does_not_fit_into_memory_is_not_spilled_beside_the_file(engine: Engine) -> None:
    """DuckDB by itself would make a folder there."""
    with attach(engine, Base.metadata), engine.connect() as connection:
        connection.exec_driver_sql("SET memory_limit = '60MB'")
        connection.exec_driver_sql("SET threads = 1")
        sort = "SELECT i, hash(i), grp FROM range(6000000) r(i), (FROM tokens LIMIT 1) ORDER BY 2"
        assert connection.exec_driver_sql(f"SELECT count(*) FROM ({sort} OFFSET 1)").scalar()
        where = connection.exec_driver_sql("SELECT current_setting('temp_directory')").scalar()
        assert "older.duckdb" not in str(where)


def test_a_current_database_is_left_as_it_is(tmp_path: Path) -> None:
    """Readable and writable, by any number of connections."""
    file = make(tmp_path / "new.duckdb", "SELECT 1")
    engine = create_engine(f"duckdb:///{file}")
    with attach(engine, Base.metadata):
        Base.metadata.create_all(engine)
        with engine.begin() as one, engine.connect() as other:
            one.execute(sa.insert(Note).values(note_id=1, tags=["a"]))
            assert other.execute(select(sa.func.count()).select_from(Note)).scalar() == 0
        with engine.connect() as connection:
            assert connection.execute(select(Note.tags)).scalar() == ["a"]
    engine.dispose()
    again = create_engine(f"duckdb:///{file}")
    with attach(again, Base.metadata) as attachment, again.begin() as connection:
        connection.execute(sa.update(Note).values(tags=[]))
        assert not attachment.report().degraded
    again.dispose()


def test_new_databases_and_those_in_memory_are_left_alone(tmp_path: Path) -> None:
    """There is nothing to keep."""
    for url in ("duckdb:///:memory:", f"duckdb:///{tmp_path / 'new.duckdb'}"):
        engine = create_engine(url)
        with attach(engine, Base.metadata):
            Base.metadata.create_all(engine)
            with engine.begin() as connection:
                connection.execute(sa.insert(Note).values(note_id=1, tags=[]))
        engine.dispose()


@pytest.mark.parametrize("text", ["", "Dear reader,\n" * 999], ids=["empty", "letter"])
def test_what_is_no_database_is_told_by_duckdb(text: str, tmp_path: Path) -> None:
    """In its own words, and nobody opens it for writing then."""
    file = tmp_path / "letter.duckdb"
    file.write_text(text)
    engine = create_engine(f"duckdb:///{file}")
    asked: list[Any] = []
    with untouched(file), attach(engine, Base.metadata):
        event.listen(engine, "do_connect", lambda *given: asked.append(given))
        with pytest.raises(SQLAlchemyError, match="not a valid DuckDB database"):
            engine.connect()
    assert asked == []
    engine.dispose()


def test_a_current_database_that_changes_is_looked_at_again(tmp_path: Path) -> None:
    """By each new connection; what makes it degraded keeps that from being made."""
    file = tmp_path / "new.duckdb"
    engine = create_engine(f"duckdb:///{file}", poolclass=sa.pool.NullPool)
    Base.metadata.create_all(engine)
    with attach(engine, Base.metadata):
        with engine.connect() as one:
            one.exec_driver_sql("CREATE TABLE more (a INTEGER)")
            one.commit()
            with engine.begin() as other:
                other.execute(sa.insert(Note).values(note_id=1, tags=["a"]))
            one.exec_driver_sql("ALTER TABLE tokens DROP COLUMN grp")
            one.commit()
            with pytest.raises(AttachError, match="has opened it for writing already"):
                engine.connect()
        with engine.connect() as connection:
            assert connection.execute(select(TOKENS.c.grp)).all() == []
            with pytest.raises(WriteRefusedError):
                connection.execute(sa.delete(Note))


def test_posture_refuse_raises_when_it_is_opened(engine: Engine) -> None:
    """Before any work."""
    why = "lacks what is declared in 2 tables"
    with (
        attach(engine, Base.metadata, posture="refuse"),
        pytest.raises(DegradedDatabaseError, match=why),
    ):
        engine.connect()


def test_read_only_holds_for_a_current_database_too(tmp_path: Path) -> None:
    """If that is asked for."""
    file = tmp_path / "new.duckdb"
    engine = create_engine(f"duckdb:///{file}")
    Base.metadata.create_all(engine)
    engine.dispose()
    with untouched(file), attach(engine, Base.metadata, read_only=True):
        with engine.connect() as connection, pytest.raises(WriteRefusedError):
            connection.execute(sa.insert(Note).values(note_id=1, tags=[]))
        engine.dispose()


def test_what_this_process_has_open_for_writing_is_refused(file: Path) -> None:
    """All connections of a process share one file, so that ours could not be read-only."""
    engine, writer = (create_engine(f"duckdb:///{file}") for _ in range(2))
    with (
        writer.connect(),
        attach(engine, Base.metadata),
        pytest.raises(AttachError, match="has opened it for writing already"),
    ):
        engine.connect()
    writer.dispose()
    engine.dispose()
    with untouched(file), attach(engine, Base.metadata), engine.connect() as connection:
        assert len(connection.execute(select(TOKENS)).all()) == 3
        connection.close()
        engine.dispose()


def test_an_engine_with_a_creator_of_its_own(file: Path) -> None:
    """Read-only, it is read; else it is refused."""
    from duckdb_engine import ConnectionWrapper

    for read_only in (True, False):
        engine = create_engine(
            "duckdb://",
            creator=lambda ro=read_only: ConnectionWrapper(duckdb.connect(str(file), read_only=ro)),
            poolclass=sa.pool.NullPool,
        )
        with attach(engine, Base.metadata):
            if read_only:
                with engine.connect() as connection:
                    assert len(connection.execute(select(TOKENS)).all()) == 3
            else:
                with pytest.raises(AttachError, match="`creator`"):
                    engine.connect()
        engine.dispose()


def test_nobody_writes_while_it_is_read(engine: Engine, file: Path) -> None:
    """DuckDB's own lock keeps every other program out."""
    with attach(engine, Base.metadata), engine.connect() as connection:
        connection.execute(select(TOKENS)).all()
        script = f"import duckdb; duckdb.connect({str(file)!r})"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert "lock" in done.stderr


def test_a_file_that_is_replaced_is_noticed(file: Path, tmp_path: Path) -> None:
    """By the next statement; and the migrated one is then read, and may be written."""
    engine = create_engine(f"duckdb:///{file}")
    migrated = make(tmp_path / "migrated.duckdb", OLD)
    with duckdb.connect(str(migrated)) as raw:
        for name in ("grp", "label", "status"):
            raw.execute(f"ALTER TABLE tokens ADD COLUMN {name} VARCHAR DEFAULT 'new'")
        raw.execute("CREATE TABLE notes (note_id INTEGER, tags JSON)")
    with attach(engine, Base.metadata):
        with engine.connect() as one, engine.connect() as other:
            assert {row.grp for row in one.execute(select(TOKENS))} == {None}
            other.execute(select(TOKENS)).all()
            one.rollback()
            migrated.replace(file)
            for connection in (one, other):
                with pytest.raises(SourceChangedError, match="was replaced"):
                    connection.execute(select(TOKENS.c.grp))
        with engine.begin() as connection:
            assert {row.grp for row in connection.execute(select(TOKENS))} == {"new"}
            connection.execute(sa.update(Token).values(grp="written"))
    engine.dispose()


def test_a_file_that_is_removed_is_noticed(file: Path) -> None:
    """By the next statement; and what is made in its place is the program's own."""
    engine = create_engine(f"duckdb:///{file}")
    with attach(engine, Base.metadata):
        with engine.connect() as connection:
            assert len(connection.execute(select(TOKENS)).all()) == 3
            file.unlink()
            with pytest.raises(SourceChangedError, match="was replaced or removed"):
                connection.execute(select(TOKENS))
        Base.metadata.create_all(engine)
        with engine.connect() as connection:
            assert connection.execute(select(TOKENS)).all() == []
            with pytest.raises(SQLAlchemyError, match="nowhere"):
                connection.exec_driver_sql("FROM nowhere")
    engine.dispose()


def test_a_connection_that_was_lost_and_cannot_be_made_anew(file: Path) -> None:
    """DuckDB's own error tells why, from whichever statement it is that needs it."""
    engine = create_engine(f"duckdb:///{file}", poolclass=sa.pool.NullPool)
    with attach(engine, Base.metadata), engine.connect() as connection:
        assert len(connection.execute(select(TOKENS)).all()) == 3
        connection.invalidate()
        connection.rollback()
        file.write_text("Dear reader,\n" * 999)
        with pytest.raises(SQLAlchemyError, match="not a valid DuckDB database"):
            connection.execute(select(TOKENS))
        with pytest.raises(SQLAlchemyError, match="not a valid DuckDB database"):
            engine.connect()
    engine.dispose()


def test_what_a_program_reads_only_of_its_own_will_is_not_ours(file: Path) -> None:
    """A current database has no remedy, though the same engine has read a degraded one."""
    engine = create_engine(
        f"duckdb:///{file}", connect_args={"read_only": True}, poolclass=sa.pool.NullPool
    )
    with attach(engine, Base.metadata):
        with engine.connect() as connection, pytest.raises(WriteRefusedError):
            connection.execute(sa.delete(Token))
        with duckdb.connect(str(file)) as raw:
            raw.execute("ALTER TABLE tokens ADD COLUMN grp VARCHAR")
            raw.execute("ALTER TABLE tokens ADD COLUMN label VARCHAR")
            raw.execute("ALTER TABLE tokens ADD COLUMN status VARCHAR")
            raw.execute("CREATE TABLE notes (note_id INTEGER, tags JSON)")
        with engine.connect() as connection, pytest.raises(SQLAlchemyError, match="read-only mode"):
            connection.execute(sa.delete(Token))
    engine.dispose()


def test_a_replaced_file_is_not_read_by_what_is_open_still(file: Path, tmp_path: Path) -> None:
    """Another engine keeps the former one open, and DuckDB would give that to us."""
    former = create_engine(f"duckdb:///{file}", connect_args={"read_only": True})
    held = former.connect()
    make(tmp_path / "other.duckdb", OLD).replace(file)
    engine = create_engine(f"duckdb:///{file}")
    with attach(engine, Base.metadata):
        with pytest.raises(SourceChangedError, match="was replaced"):
            engine.connect()
        held.close()
        former.dispose()
        with engine.connect() as connection:
            assert len(connection.execute(select(TOKENS)).all()) == 3
    engine.dispose()


def test_tables_of_another_schema(file: Path) -> None:
    """Are read where they are declared with it, and told apart."""
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE SCHEMA old; CREATE TABLE old.tokens (token_id INTEGER)")
        connection.execute("INSERT INTO old.tokens VALUES (7)")
    metadata = sa.MetaData()
    for schema in ("old", None):
        sa.Table("tokens", metadata, sa.Column("token_id"), sa.Column("grp"), schema=schema)
    old, main = metadata.tables["old.tokens"], metadata.tables["tokens"]
    engine = create_engine(f"duckdb:///{file}")
    with untouched(file), attach(engine, metadata), engine.connect() as connection:
        assert connection.execute(select(old)).all() == [(7, None)]
        both = select(old.c.grp, main.c.grp).where(old.c.token_id > main.c.token_id)
        assert connection.execute(both).all() == [(None, None)] * 3
        connection.close()
        engine.dispose()


def test_where_bare_names_mean_another_schema(file: Path) -> None:
    """The tables of `main` would be shown under names that mean others."""
    from duckdb_engine import ConnectionWrapper

    with duckdb.connect(str(file)) as made:
        made.execute("CREATE SCHEMA old; CREATE TABLE old.tokens (token_id INTEGER)")

    def connect() -> Any:
        opened = duckdb.connect(str(file), read_only=True)
        opened.execute("SET schema = 'old'")
        return ConnectionWrapper(opened)

    engine = create_engine("duckdb://", creator=connect)
    with untouched(file), attach(engine, Base.metadata):
        with pytest.raises(AttachError, match="in the schema 'old'"):
            engine.connect()
        engine.dispose()


@pytest.mark.parametrize(
    "declared",
    [
        sa.String(3),
        sa.Text,
        sa.Numeric(10, 2),
        sa.Float,
        sa.Double,
        sa.Boolean,
        sa.DateTime,
        sa.DateTime(timezone=True),
        sa.Date,
        sa.Time,
        sa.JSON,
        sa.LargeBinary,
        sa.Uuid,
        sa.Interval,
        sa.BigInteger,
        sa.Enum("a", "b", name="nowhere"),
        sa.ARRAY(sa.Integer),
        JSONB,
    ],
    ids=str,
)
def test_a_missing_column_of_any_type_is_a_null_of_it(engine: Engine, declared: Any) -> None:
    """Also of a type that the database does not have."""
    metadata = sa.MetaData()
    sa.Table("runs", metadata, sa.Column("run_id", sa.Text), sa.Column("more", declared))
    with attach(engine, metadata), engine.connect() as connection:
        assert connection.execute(sa.text("SELECT more FROM runs")).all() == [(None,), (None,)]
        union = "SELECT typeof(more) FROM (SELECT more FROM runs UNION ALL SELECT NULL) LIMIT 1"
        assert connection.execute(sa.text(union)).scalar() != '"NULL"'


def test_a_value_that_does_not_fit_is_an_error_and_not_another_value(engine: Engine) -> None:
    """As it would have been when it was migrated."""
    metadata = sa.MetaData()
    sa.Table("runs", metadata, sa.Column("run_id"), sa.Column("code", sa.Integer))
    with (
        attach(engine, metadata, rules=[renamed("runs.code", "status")]),
        engine.connect() as connection,
        pytest.raises(SQLAlchemyError, match="Could not convert"),
    ):
        connection.execute(sa.text("SELECT code FROM runs")).all()


def test_a_mapping_replaces_what_is_stored(engine: Engine) -> None:
    """And nothing else of the row."""
    metadata = sa.MetaData()
    sa.Table("runs", metadata, sa.Column("run_id"), sa.Column("status", sa.Text))
    rules = [mapped("runs.status", {"done": "completed"})]
    with attach(engine, metadata, rules=rules), engine.connect() as connection:
        found = connection.execute(sa.text("SELECT * FROM main.runs ORDER BY run_id")).all()
        assert found == [("r1", "completed"), ("r2", "failed")]


def test_reflection_and_inspection_see_what_is_stored(engine: Engine, file: Path) -> None:
    """The truth, not the projection."""
    with attach(engine, Base.metadata), engine.connect() as connection:
        assert sorted(sa.inspect(connection).get_table_names()) == ["runs", "tokens"]
        text = "SELECT column_name FROM information_schema.columns WHERE table_name = 'tokens'"
        names = connection.exec_driver_sql(text).scalars().all()
        assert names == ["token_id", "run_id", "kind"]
    report = inspect_database(f"duckdb:///{file}", metadata=Base.metadata)
    assert report.degraded
    assert [table.name for table in report.tables] == ["tokens", "notes"]


@pytest.mark.parametrize("place", ["md:my_db", "motherduck:my_db", "s3://bucket/my.duckdb"])
def test_a_database_of_another_machine_is_refused(place: str) -> None:
    """It cannot be told what keeps others from writing to it."""
    engine = create_engine(f"duckdb:///{place}")
    with pytest.raises(AttachError, match="no file of this machine"):
        attach(engine, Base.metadata)


def test_other_listeners_and_detaching(engine: Engine) -> None:
    """A program's own listeners see its statements as it wrote them; detached, all is as before."""
    seen: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    attachment = attach(engine, Base.metadata)
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT grp FROM tokens")).all()
    assert seen[-1] == "SELECT grp FROM tokens"
    attachment.detach()
    with engine.connect() as connection:
        with pytest.raises(SQLAlchemyError, match="grp"):
            connection.execute(sa.text("SELECT grp FROM tokens"))
        connection.rollback()


def test_no_audit_database_is_looked_for_in_duckdb(file: Path) -> None:
    """ELSPETH never wrote one there, and its rules were not tried on it."""
    with pytest.raises(AttachError, match="never in DuckDB"):
        open_landscape(f"duckdb:///{file}")
