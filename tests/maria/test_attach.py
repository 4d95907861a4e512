"""A MariaDB database that lacks what is declared is read as if it did not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, ForeignKey, create_engine, make_url, select
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)

from landscape_compat import (
    AttachError,
    DegradedDatabaseError,
    DegradedReadWarning,
    UnreadableError,
    attach,
    derived,
    inspect_database,
    mapped,
    neutral,
    open_landscape,
    renamed,
)
from support.mariadb import MariaDatabase, MariaServer, running_mariadb

from .conftest import METADATA, OLD, TOKENS

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

SHOP = """
CREATE TABLE runs (run_id varchar(20) PRIMARY KEY, status varchar(20));
INSERT INTO runs VALUES ('r1', 'done'), ('r2', 'failed');
CREATE TABLE items (item_id int PRIMARY KEY, run_id varchar(20), kind varchar(20), KEY (run_id));
INSERT INTO items VALUES (1, 'r1', 'plain'), (2, 'r1', NULL), (3, 'r2', 'plain')
"""


class Base(DeclarativeBase):
    """What the program of today declares."""


class Run(Base):
    """A row of `runs`, with a column that is not stored."""

    __tablename__ = "runs"

    run_id: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    status: Mapped[str] = mapped_column(sa.String(20))
    owner: Mapped[str | None] = mapped_column(sa.String(20))
    items: Mapped[list[Item]] = relationship(back_populates="run", order_by="Item.item_id")


class Item(Base):
    """A row of `items`, with a column that is not stored, one renamed, and one derived."""

    __tablename__ = "items"

    item_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    run_id: Mapped[str] = mapped_column(sa.String(20), ForeignKey("runs.run_id"))
    grp: Mapped[int | None]
    label: Mapped[str | None] = mapped_column(sa.String(20))
    status: Mapped[str | None] = mapped_column(sa.String(20))
    run: Mapped[Run] = relationship(back_populates="items")


class Note(Base):
    """A row of a table that is not stored."""

    __tablename__ = "notes"

    note_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tags: Mapped[Any] = mapped_column(sa.JSON)


_RUNS = sa.table("runs", sa.column("run_id"), sa.column("status"))
_OWN = sa.table("items", sa.column("run_id"))
RULES = [
    renamed("items.label", "kind"),
    derived("items.status", select(_RUNS.c.status).where(_RUNS.c.run_id == _OWN.c.run_id)),
]


@pytest.fixture
def shop(maria: MariaDatabase, engine: Engine) -> Iterator[Engine]:
    """Give an engine on an older shop, attached, and see that it is left as it was."""
    maria.run(SHOP)
    before = maria.content()
    with attach(engine, Base.metadata, rules=RULES):
        yield engine
    assert maria.content() == before


def test_core_and_text_see_what_is_declared(shop: Engine) -> None:
    """Absent is NULL, and a rule's value is the rule's."""
    items = Base.metadata.tables["items"]
    with shop.connect() as connection:
        rows = connection.execute(select(items).where(items.c.grp.is_(None))).all()
        assert sorted(rows) == [
            (1, "r1", None, "plain", "done"),
            (2, "r1", None, None, "done"),
            (3, "r2", None, "plain", "failed"),
        ]
        text = "SELECT item_id FROM items WHERE status = :status AND grp IS NULL AND '50%' = '50%'"
        assert connection.execute(sa.text(text), {"status": "failed"}).all() == [(3,)]
        driver = "SELECT label FROM items WHERE item_id = %s AND '%%' = '%%'"
        assert connection.exec_driver_sql(driver, (1,)).all() == [("plain",)]
        (found, _) = connection.execute(sa.text("SELECT * FROM runs ORDER BY run_id")).mappings()
        assert dict(found) == {"run_id": "r1", "status": "done", "owner": None}


@pytest.mark.parametrize("load", [joinedload, selectinload])
def test_entities_and_those_loaded_with_them(shop: Engine, load: Any) -> None:
    """In one statement, or in two."""
    with Session(shop) as session:
        runs = session.scalars(select(Run).options(load(Run.items)).order_by(Run.run_id)).unique()
        found = [[(i.item_id, i.label, i.status, i.grp) for i in run.items] for run in runs]
        first = [(1, "plain", "done", None), (2, None, "done", None)]
        assert found == [first, [(3, "plain", "failed", None)]]
        item = session.get(Item, 3)
        assert item is not None
        assert (item.run.status, item.run.owner) == ("failed", None)
        assert session.scalars(select(Note)).all() == []


def test_each_table_warns_once(shop: Engine) -> None:
    """At its first use."""
    items = select(Base.metadata.tables["items"])
    with shop.connect() as connection:
        with pytest.warns(DegradedReadWarning) as told:
            connection.execute(items).all()
        connection.execute(items).all()
    assert [warning.message.table for warning in told] == ["items"]  # type: ignore[union-attr]


def test_a_derived_value_behind_an_outer_join(shop: Engine) -> None:
    """Is none where no row is, also where a window or a subquery asks for it."""
    with shop.connect() as connection:
        for asked in ("first_value(i.status) OVER (PARTITION BY i.status)", "(SELECT i.status)"):
            text = (
                f"SELECT r.run_id, {asked} FROM runs r LEFT JOIN items i "
                "ON i.run_id = r.run_id AND i.item_id = 3 ORDER BY i.status, 1"
            )
            assert connection.exec_driver_sql(text).all() == [("r1", None), ("r2", "failed")]


def test_what_is_missing_is_shown_once(shop: Engine) -> None:
    """MariaDB forgets that of a table that has no rows, and of constants."""
    with shop.connect() as connection:
        for text in ("5, grp", "grp"):
            text = f"SELECT DISTINCT {text} FROM items ORDER BY 1 LIMIT 9 OFFSET 1"
            assert connection.exec_driver_sql(text).all() == []
        text = (
            "SELECT DISTINCT nullif(n.tags, '') FROM notes n "
            "RIGHT JOIN items ON items.item_id = n.note_id ORDER BY 1 LIMIT 9 OFFSET 1"
        )
        assert connection.exec_driver_sql(text).all() == []


def test_indexes_are_used(shop: Engine) -> None:
    """The projection is merged into the statement, also twice and behind an outer join."""
    with shop.connect() as connection:
        text = (
            "EXPLAIN SELECT a.grp, b.grp FROM items a LEFT JOIN items b "
            "ON b.item_id = a.item_id AND b.grp IS NULL WHERE a.run_id = 'r2'"
        )
        plan = connection.exec_driver_sql(text).mappings().all()
        assert [(row["select_type"], row["key"]) for row in plan] == [
            ("SIMPLE", "run_id"),
            ("SIMPLE", "PRIMARY"),
        ]


def test_a_column_that_is_renamed_keeps_its_index(maria: MariaDatabase, engine: Engine) -> None:
    """As the stored column is named, and nothing made of it."""
    maria.run("CREATE TABLE tokens (token_id int PRIMARY KEY, kind varchar(20), KEY (kind))")
    rules = [renamed("tokens.name", "kind")]
    with attach(engine, METADATA, rules=rules), engine.connect() as connection:
        text = "EXPLAIN SELECT * FROM tokens WHERE name = 'x'"
        (row,) = connection.exec_driver_sql(text).mappings()
        assert row["key"] == "kind"


def test_a_current_database_is_left_alone(maria: MariaDatabase, engine: Engine) -> None:
    """Readable and writable, whatever its engine and the session's mode."""
    maria.run(OLD + "; ALTER TABLE tokens ADD COLUMN grp varchar(20), ENGINE = MyISAM")
    engine = create_engine(
        maria.url(), connect_args={"init_command": "SET sql_mode = 'ANSI_QUOTES'"}
    )
    with attach(engine, METADATA), engine.begin() as connection:
        connection.execute(TOKENS.insert(), {"token_id": 9, "grp": "x"})
        assert connection.exec_driver_sql('SELECT "grp" FROM tokens WHERE token_id = 9').all() == [
            ("x",)
        ]
    engine.dispose()


def test_a_fresh_database_is_left_alone(maria: MariaDatabase, engine: Engine) -> None:
    """A program makes its tables."""
    with attach(engine, METADATA):
        METADATA.create_all(engine)
        with engine.begin() as connection:
            connection.execute(TOKENS.insert(), {"token_id": 1})
    assert maria.rows("SELECT token_id FROM tokens") == ((1,),)


def test_creating_all_tables_that_are_there(maria: MariaDatabase, engine: Engine) -> None:
    """Asks what is stored, which is told as it is, and creates nothing."""
    maria.run(OLD)
    with attach(engine, METADATA):
        METADATA.create_all(engine)
        with engine.connect() as connection:
            names = [column["name"] for column in sa.inspect(connection).get_columns("tokens")]
            assert names == ["token_id", "name"]


def test_a_program_may_refuse(maria: MariaDatabase, engine: Engine) -> None:
    """Instead of reading it degraded."""
    maria.run(OLD)
    with attach(engine, METADATA, posture="refuse"), pytest.raises(DegradedDatabaseError):
        engine.connect()


def test_it_is_inspected(maria: MariaDatabase, engine: Engine) -> None:
    """And no audit database is looked for in it."""
    maria.run(SHOP)
    report = inspect_database(maria.url(), metadata=Base.metadata)
    assert report.degraded
    drifts = {table.name: table.drift for table in report.tables}
    assert [column.name for column in drifts["runs"].missing_columns] == ["owner"]
    assert drifts["notes"].missing_table
    assert not drifts["items"].changed_types
    with pytest.raises(AttachError, match="never in MariaDB"):
        open_landscape(maria.url())


@pytest.mark.parametrize(
    ("script", "init", "said"),  # what the session begins with, or its character set
    [
        (OLD, "SET sql_mode = 'ANSI_QUOTES'", "ANSI_QUOTES"),
        (OLD, "SET sql_mode = 'NO_BACKSLASH_ESCAPES'", "NO_BACKSLASH_ESCAPES"),
        (OLD, "SET sql_mode = 'ORACLE'", "ORACLE"),
        (OLD, "SET sql_mode = 'EMPTY_STRING_IS_NULL'", "EMPTY_STRING_IS_NULL"),
        (OLD, "latin1", "latin1"),
        (OLD, "gbk", "gbk"),
        (f"{OLD}; ALTER TABLE tokens ENGINE = MyISAM", "SELECT 1", "tokens .MyISAM."),
        (f"{OLD}; ALTER TABLE tokens ENGINE = Aria", "SELECT 1", "tokens .Aria."),
        (f"{OLD}; CREATE TABLE Tokens (a int)", "SELECT 1", "'Tokens' differ by the case"),
        (f"{OLD}; CREATE TABLE `ROWS` (a int)", "SELECT 1", "'ROWS' differ by the case"),
        (f"{OLD}; CREATE TABLE items (a int)", "SELECT 1", "'items' differ by the case"),
        ("CREATE TABLE Tokens (token_id int); CREATE TABLE `rows` (a int)", "SELECT 1", None),
    ],
)
def test_what_cannot_be_read_faithfully_is_refused(
    maria: MariaDatabase, script: str, init: str, said: str | None
) -> None:
    """With the reason, when a connection is made."""
    maria.run(script)
    if " " in init:
        engine = create_engine(maria.url(), connect_args={"init_command": init})
    else:
        engine = create_engine(maria.url().update_query_dict({"charset": init}))
    declared = sa.MetaData()
    TOKENS.to_metadata(declared)
    sa.Table("rows", declared, sa.Column("a", sa.Integer), sa.Column("b", sa.Integer))
    sa.Table("İtems", declared, sa.Column("a", sa.Integer))
    with attach(engine, declared), pytest.raises(AttachError, match=said or "'Tokens'") as told:
        engine.connect()
    assert told.value.remedy
    engine.dispose()


@pytest.mark.parametrize("which", ["connection", "results"])
@pytest.mark.parametrize("first", [True, False])
def test_a_session_that_loses_letters(
    maria: MariaDatabase, engine: Engine, which: str, *, first: bool
) -> None:
    """Question marks were made of the letters of a rule's value."""

    def lose(connection: Any, _: Any) -> None:
        connection.cursor().execute(f"SET character_set_{which} = latin1")

    maria.run(OLD)
    if first:
        sa.event.listen(engine, "connect", lose)
    with attach(engine, METADATA, rules=[neutral("tokens.grp", sa.literal("имя"))]):
        if not first:
            sa.event.listen(engine, "connect", lose)
        with pytest.raises(AttachError, match="latin1"), engine.connect() as connection:
            connection.exec_driver_sql("SELECT grp FROM tokens")


def test_databases_that_differ_by_case_only(maria: MariaDatabase, engine: Engine) -> None:
    """Cannot be told apart in a statement."""
    maria.run(f"{OLD}; CREATE DATABASE {maria.name.upper()}")
    try:
        with attach(engine, METADATA), pytest.raises(AttachError, match="cannot be told apart"):
            engine.connect()
    finally:
        maria.run(f"DROP DATABASE {maria.name.upper()}")


@pytest.mark.parametrize("driver", ["mysqldb", "mysqlconnector", "mariadbconnector", "aiomysql"])
def test_a_driver_that_was_not_tried_is_refused(driver: str) -> None:
    """Each writes parameters into statements in its own way; known is one."""
    dialect = make_url(f"mysql+{driver}://").get_dialect()()
    engine = create_engine("mysql+pymysql://host/shop")
    engine.dialect = dialect
    with pytest.raises(AttachError, match=f"The driver is {driver}") as caught:
        attach(engine, METADATA)
    assert caught.value.remedy == "Make the engine with mysql+pymysql://."


def test_a_connection_to_no_database_is_refused(maria_server: MariaServer) -> None:
    """Bare names mean no tables there."""
    engine = create_engine(maria_server.url(""))
    with attach(engine, METADATA), pytest.raises(AttachError, match="no database"):
        engine.connect()
    engine.dispose()


def test_tables_of_another_database(maria: MariaDatabase, engine: Engine) -> None:
    """Are read where they are declared with it, and told apart."""
    other = f"{maria.name}_other"
    maria.run(f"{OLD}; CREATE DATABASE {other}; CREATE TABLE {other}.tokens (token_id int)")
    maria.run(f"INSERT INTO {other}.tokens VALUES (7)")
    metadata = sa.MetaData()
    for schema in (other, None):
        columns = sa.Column("token_id", sa.Integer), sa.Column("grp", sa.String(9))
        sa.Table("tokens", metadata, *columns, schema=schema)
    there, here = metadata.tables[f"{other}.tokens"], metadata.tables["tokens"]
    try:
        with attach(engine, metadata), engine.connect() as connection:
            assert connection.execute(select(there)).all() == [(7, None)]
            both = select(there.c.grp, here.c.grp).where(there.c.token_id > here.c.token_id)
            assert connection.execute(both).all() == [(None, None)] * 3
    finally:
        maria.run(f"DROP DATABASE {other}")


def test_an_invisible_column(maria: MariaDatabase, engine: Engine) -> None:
    """Is read where it is named, and not shown by `*`."""
    maria.run(
        "CREATE TABLE tokens (token_id int PRIMARY KEY, name varchar(20), more int INVISIBLE)"
    )
    maria.run("INSERT INTO tokens (token_id, name, more) VALUES (1, 'a', 5)")
    rules = [mapped("tokens.name", {"a": "b"})]
    for given in ([], rules):
        with attach(engine, METADATA, rules=given), engine.connect() as connection:
            (row,) = connection.exec_driver_sql("SELECT * FROM tokens")
            assert row == (1, "b" if given else "a", None)
            assert connection.exec_driver_sql("SELECT more, grp FROM tokens").all() == [(5, None)]
            with pytest.raises(UnreadableError, match="invisible"):
                connection.exec_driver_sql("SELECT *, more FROM tokens")


def test_when_a_row_was_valid_is_not_shown_as_absent(maria: MariaDatabase, engine: Engine) -> None:
    """The catalogue has no columns of a period that none was declared for."""
    maria.run(
        "CREATE TABLE tokens (token_id int) WITH SYSTEM VERSIONING; INSERT INTO tokens VALUES (1);"
        "CREATE TABLE notes (a int, f timestamp(6) GENERATED ALWAYS AS ROW START, t timestamp(6) "
        "GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (f, t)) WITH SYSTEM VERSIONING;"
        "INSERT INTO notes (a) VALUES (1)"
    )
    metadata = sa.MetaData()
    columns = ("token_id", sa.Integer), ("row_start", mysql.TIMESTAMP(fsp=6)), ("grp", sa.Integer)
    sa.Table("tokens", metadata, *(sa.Column(*column) for column in columns))
    sa.Table("notes", metadata, sa.Column("a", sa.Integer), sa.Column("row_start", sa.Integer))
    ((stored,),) = maria.rows("SELECT row_start FROM tokens")
    with attach(engine, metadata), engine.connect() as connection:
        assert connection.execute(select(metadata.tables["tokens"])).all() == [(1, stored, None)]
        assert connection.exec_driver_sql("SELECT * FROM tokens").all() == [(1, None)]
        assert connection.execute(select(metadata.tables["notes"])).all() == [(1, None)]


def test_names_are_the_same_in_every_alphabet(maria: MariaDatabase, engine: Engine) -> None:
    """A name in other letters than it was declared in was overlooked, and read as it is stored."""
    maria.run("CREATE TABLE `ключ` (`имя` varchar(9), `é` int); INSERT INTO `ключ` VALUES ('a', 1)")
    metadata = sa.MetaData()
    columns = sa.Column("имя", sa.String(9)), sa.Column("grp", sa.Integer)
    sa.Table("ключ", metadata, *columns, sa.Column("É", sa.Integer))
    rules = [mapped("ключ.имя", {"a": "b"})]
    with attach(engine, metadata, rules=rules), engine.connect() as connection:
        for name in ("имя", "Имя", "`ИМЯ`"):
            assert connection.exec_driver_sql(f"SELECT {name} FROM ключ").scalars().all() == ["b"]
        with pytest.raises(UnreadableError, match="stored as 'é'"):
            connection.exec_driver_sql("SELECT * FROM ключ")


def test_a_session_that_is_given_few_rows(maria: MariaDatabase) -> None:
    """What is stored was taken for absent, and a table for empty."""
    maria.run(SHOP)
    limit = {"init_command": "SET sql_select_limit = 1"}
    engine = create_engine(maria.url(), connect_args=limit)
    with attach(engine, Base.metadata, rules=RULES), engine.connect() as connection:
        for table in ("runs", "items"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
        text = "SELECT item_id, run_id, grp, label, status FROM items"
        assert connection.exec_driver_sql(text).all() == [(1, "r1", None, "plain", "done")]
    engine.dispose()


def test_a_table_that_may_not_be_read_is_not_shown_as_empty(
    maria: MariaDatabase, maria_server: MariaServer
) -> None:
    """Nor is a column that may not be read shown as absent."""
    maria.run(
        f"{SHOP}; CREATE TABLE notes (note_id int, tags text); INSERT INTO notes VALUES (1, 'x');"
        "CREATE USER IF NOT EXISTS auditor; GRANT SELECT ON runs TO auditor;"
        "GRANT SELECT (item_id, run_id) ON items TO auditor"
    )
    engine = create_engine(maria.url(user="auditor"))
    with attach(engine, Base.metadata), engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT owner FROM runs").all() == [(None,), (None,)]
        for text in ("SELECT * FROM notes", "SELECT kind FROM items", "SELECT grp FROM items"):
            with pytest.raises((SQLAlchemyError, UnreadableError)):
                connection.exec_driver_sql(text).all()
            connection.rollback()
        maria.run("GRANT SELECT ON items TO auditor; GRANT SELECT ON notes TO auditor")
    engine.dispose()
    with attach(engine, Base.metadata), engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT note_id, tags FROM notes").all() == [(1, "x")]
        assert connection.exec_driver_sql("SELECT owner FROM runs").all() == [(None,), (None,)]
    maria.run("DROP USER auditor")
    engine.dispose()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT {d '2026-01-01'}, grp FROM tokens", r"\{"),
        ("SELECT grp FROM tokens PARTITION (p0)", "PARTITION"),
        ("SELECT grp FROM tokens FOR SYSTEM_TIME ALL", "SYSTEM_TIME"),
        (
            "SELECT grp FROM tokens WHERE token_id IN (WITH x AS (SELECT 1 AS a) SELECT a FROM x)",
            "a WITH within",
        ),
    ],
)
def test_what_mariadb_would_not_ask_of_an_expression(
    maria: MariaDatabase, engine: Engine, text: str, said: str
) -> None:
    """Is refused by name, where a table is shown by one."""
    maria.run(OLD)
    with attach(engine, METADATA), engine.connect() as connection:
        with pytest.raises(UnreadableError, match=said):
            connection.exec_driver_sql(text)
        assert connection.execute(select(TOKENS.c.grp)).all() == [(None,)] * 3


def test_a_hint_that_does_not_end(maria: MariaDatabase, engine: Engine) -> None:
    """Was left out of the statement, which then ran."""
    maria.run(OLD)
    with (
        attach(engine, METADATA),
        engine.connect() as connection,
        pytest.raises((SQLAlchemyError, UnreadableError)),
    ):
        connection.exec_driver_sql("SELECT grp FROM tokens USE INDEX (")


def test_a_table_that_may_be_read_from_now_on(maria: MariaDatabase) -> None:
    """Its columns were known before, so nothing was noticed, and no statement read it."""
    maria.run(
        f"{OLD}; CREATE USER IF NOT EXISTS clerk; GRANT INSERT ON tokens TO clerk;"
        "CREATE TABLE more (a int); GRANT SELECT ON more TO clerk"
    )
    engine = create_engine(maria.url(user="clerk"))
    with attach(engine, METADATA), engine.connect() as connection:
        with pytest.raises((SQLAlchemyError, UnreadableError)):
            connection.execute(select(TOKENS)).all()
        connection.rollback()
        maria.run("GRANT SELECT ON tokens TO clerk")
        assert {row.grp for row in connection.execute(select(TOKENS))} == {None}
    maria.run("DROP USER clerk")
    engine.dispose()


def test_detached_all_is_as_before(maria: MariaDatabase, engine: Engine) -> None:
    """Readable and writable."""
    maria.run(OLD)
    with attach(engine, METADATA), engine.connect() as connection:
        connection.execute(select(TOKENS)).all()
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM tokens")
        with pytest.raises(SQLAlchemyError, match="grp"):
            connection.exec_driver_sql("SELECT grp FROM tokens")


@pytest.mark.parametrize("name", ["_rowid", "tokens._rowid", "_ROWID"])
def test_a_key_by_its_other_name_is_never_that_of_a_table_further_out(
    maria: MariaDatabase, engine: Engine, name: str
) -> None:
    """Through a common table expression there is no such name, so it was looked for there."""
    maria.run(f"{OLD}; CREATE TABLE other (a int PRIMARY KEY); INSERT INTO other VALUES (5), (6)")
    text = f"SELECT a FROM other WHERE EXISTS (SELECT 1 FROM tokens WHERE {name} = 5)"
    with attach(engine, METADATA), engine.connect() as connection:
        with pytest.raises((UnreadableError, sa.exc.OperationalError), match=r"(?i)_rowid"):
            connection.execute(sa.text(text))
        connection.rollback()
        assert connection.execute(sa.text("SELECT _rowid FROM other")).all() == [(5,), (6,)]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (renamed("tokens.grp", "name"), "makes something of every value"),
        (neutral("tokens.grp", sa.literal("x")), "makes something of every value"),
        (neutral("tokens.grp", sa.func.rand()), None),
        (neutral("tokens.grp", sa.func.rand(type_=sa.Double())), "makes something"),
        (neutral("tokens.grp", sa.column("anything")), "cannot be told what type"),
    ],
)
def test_a_value_that_may_not_fit_is_refused(
    maria: MariaDatabase, engine: Engine, rule: Any, said: str | None
) -> None:
    """MariaDB would make 0 of a text that is no number."""
    maria.run(OLD)
    metadata = sa.MetaData()
    sa.Table("tokens", metadata, sa.Column("token_id"), sa.Column("grp", sa.Integer))
    with attach(engine, metadata, rules=[rule]), engine.connect() as connection:
        with pytest.raises(UnreadableError, match=said or "type"):
            connection.exec_driver_sql("SELECT grp FROM tokens")
        assert connection.exec_driver_sql("SELECT count(token_id) FROM tokens").scalar() == 3


def test_what_the_rule_itself_casts_is_its_own_word(maria: MariaDatabase, engine: Engine) -> None:
    """With all that MariaDB makes of it."""
    maria.run(OLD)
    metadata = sa.MetaData()
    sa.Table("tokens", metadata, sa.Column("token_id"), sa.Column("grp", sa.Integer))
    own = sa.table("tokens", sa.column("name"))
    rules = [derived("tokens.grp", sa.cast(own.c.name, sa.Integer))]
    with attach(engine, metadata, rules=rules), engine.connect() as connection:
        text = "SELECT grp FROM tokens ORDER BY token_id"
        assert connection.exec_driver_sql(text).scalars().all() == [0, 0, None]


def test_names_where_case_does_not_count(tmp_path: Path) -> None:
    """On a server that folds the names of tables, as on other systems than Linux."""
    with running_mariadb({"lower-case-table-names": "1"}) as server:
        database = MariaDatabase(server, server.create_database())
        database.run("CREATE TABLE Tokens (Token_Id int PRIMARY KEY, name varchar(20))")
        database.run("INSERT INTO TOKENS VALUES (1, 'a')")
        engine = create_engine(database.url())
        declared = sa.MetaData()
        sa.Table("TOKENS", declared, sa.Column("token_id", sa.Integer), sa.Column("GRP", sa.Text))
        with attach(engine, declared), engine.connect() as connection:
            for text in ("SELECT * FROM tokens", f"SELECT * FROM {database.name.upper()}.Tokens"):
                assert connection.exec_driver_sql(text).all() == [(1, "a", None)]
        database.run("CREATE TABLE `ключ` (a int); INSERT INTO `ключ` VALUES (1)")
        sa.Table("Ключ", declared, sa.Column("a", sa.Integer))
        with attach(engine, declared), pytest.raises(AttachError, match="differ by the case"):
            engine.connect()
        engine.dispose()


def test_without_a_server_the_tests_say_so(tmp_path: Path) -> None:
    """Loudly: skipped tests are easily taken for passed ones."""
    script = Path(__file__).parent / "test_catalogue.py"
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", str(script)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={
            "MARIADB_BIN": str(tmp_path),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": ":".join(sys.path),
        },
    )
    assert "MariaDB IS NOT TESTED" in done.stdout
    assert "passed" not in done.stdout
    assert "skipped" in done.stdout
    assert "error" not in done.stdout
