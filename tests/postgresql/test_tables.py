"""PostgreSQL's own kinds of tables, columns and values are read as they are stored."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, select
from sqlalchemy.dialects import postgresql as pg

from landscape_compat import UnreadableError, attach
from support.postgres import PostgresDatabase

METADATA = sa.MetaData()
WHOLE = sa.Table(
    "whole",
    METADATA,
    sa.Column("id", sa.Integer, sa.Identity(always=True)),
    sa.Column("day", sa.Integer),
    sa.Column("twice", sa.Integer, sa.Computed("day * 2")),
    sa.Column("grp", sa.Text),
)
PART = sa.Table("part", METADATA, sa.Column("day", sa.Integer), sa.Column("grp", sa.Text))
PARENT = sa.Table("parent", METADATA, sa.Column("a", sa.Integer), sa.Column("grp", sa.Text))
CHILD = sa.Table(
    "child",
    METADATA,
    sa.Column("a", sa.Integer),
    sa.Column("b", sa.Integer),
    sa.Column("grp", sa.Text),
)
OLD = """
    CREATE TABLE whole (id int GENERATED ALWAYS AS IDENTITY, day int,
        twice int GENERATED ALWAYS AS (day * 2) STORED) PARTITION BY RANGE (day);
    CREATE TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (10);
    CREATE TABLE rest PARTITION OF whole DEFAULT;
    INSERT INTO whole (day) VALUES (5), (15);
    CREATE TABLE parent (a int); CREATE TABLE child (b int) INHERITS (parent);
    INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 3);
    CREATE TABLE other (a int); INSERT INTO other VALUES (4), (5)"""

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def rows(engine: Engine, statement: Any) -> list[tuple[Any, ...]]:
    """Execute a statement in a transaction of its own."""
    if isinstance(statement, str):
        statement = sa.text(statement)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement)]


def test_rows_of_other_tables_are_rows_of_these(postgres: PostgresDatabase, engine: Engine) -> None:
    """Of partitions, and of tables that inherit; with identity and generated columns."""
    postgres.run(OLD)
    before = postgres.content()
    with attach(engine, METADATA):
        assert rows(engine, select(WHOLE).order_by("day")) == [(1, 5, 10, None), (2, 15, 30, None)]
        assert rows(engine, select(PART)) == [(5, None)]
        assert rows(engine, select(PARENT).order_by("a")) == [(1, None), (2, None)]
        assert rows(engine, select(CHILD)) == [(2, 3, None)]
    assert postgres.content() == before


@pytest.mark.parametrize("only", ["ONLY parent", "only (parent)", "other JOIN ONLY parent ON true"])
def test_a_table_without_those_that_inherit_from_it_is_refused(
    postgres: PostgresDatabase, engine: Engine, only: str
) -> None:
    """Through a common table expression the word does nothing, and all rows would be given."""
    postgres.run(OLD)
    hinted = select(PARENT).with_hint(PARENT, "ONLY", "postgresql")
    with attach(engine, METADATA):
        for statement in (f"SELECT grp FROM {only}", hinted):
            with pytest.raises(UnreadableError, match="says ONLY of a table"):
                rows(engine, statement)
        assert rows(engine, "SELECT a FROM ONLY other ORDER BY a") == [(4,), (5,)]
        with engine.connect() as connection:
            stored = connection.execution_options(landscape_compat_stored=True)
            assert stored.execute(sa.text("SELECT a FROM ONLY parent")).all() == [(1,)]


def test_what_every_table_has_besides_its_columns(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """It is that of the stored table, and never that of one further out."""
    postgres.run(OLD)
    with attach(engine, METADATA):
        of = "SELECT tableoid::regclass::text, grp FROM"
        assert rows(engine, f"{of} parent ORDER BY 1") == [("child", None), ("parent", None)]
        assert rows(engine, f"{of} whole WHERE day = 5") == [("part", None)]
        assert rows(engine, "SELECT p.ctid::text, p.grp FROM part AS p") == [("(0,1)", None)]
        assert len(rows(engine, "SELECT xmin, xmax, cmin, cmax, grp FROM part")) == 1
        inner = "SELECT FROM part WHERE grp IS NULL AND tableoid = 'other'::regclass"
        assert rows(engine, f"SELECT a FROM other WHERE EXISTS ({inner})") == []
        named = "SELECT min(day) AS xmin, count(grp) FROM whole ORDER BY xmin"
        assert rows(engine, named) == [(5, 0)]
        for refused in (
            "SELECT *, ctid FROM part",
            "SELECT count(*) FROM part, other WHERE ctid = '(0,2)'",
        ):
            with pytest.raises(UnreadableError, match="ctid"):
                rows(engine, refused)


def test_values_of_types_of_its_own(postgres: PostgresDatabase, engine: Engine) -> None:
    """Stored ones are whole, and a missing one is a NULL that goes with them."""
    postgres.run(
        """CREATE TYPE mood AS ENUM ('sad', 'glad');
        CREATE DOMAIN email AS text CHECK (value LIKE '%@%');
        CREATE TABLE t (id int, mood mood, email email, list int[], doc jsonb);
        INSERT INTO t VALUES (1, 'glad', 'a@b', '{1,2}', '{"k": [1]}')"""
    )
    mood = sa.Enum("sad", "glad", name="mood")
    kinds: dict[str, sa.types.TypeEngine[Any]] = {
        "mood": mood,
        "email": pg.DOMAIN("email", sa.Text()),
        "list": pg.ARRAY(sa.Integer),
        "doc": pg.JSONB(),
    }
    metadata = sa.MetaData()
    table = sa.Table(
        "t",
        metadata,
        sa.Column("id", sa.Integer),
        *(sa.Column(name, type_) for name, type_ in kinds.items()),
        *(sa.Column(f"new_{name}", type_) for name, type_ in kinds.items()),
    )
    stored = ("glad", "a@b", [1, 2], {"k": [1]})
    c = table.c
    with attach(engine, metadata):
        assert rows(engine, select(table)) == [(1, *stored, None, None, None, None)]
        both = (sa.func.coalesce(c[f"new_{name}"], c[name]) for name in kinds)
        assert rows(engine, select(*both)) == [stored]
        inside = select(c.doc["k"][0].astext, c.new_doc["k"].astext, c.new_list.contains([1]))
        assert rows(engine, inside) == [("1", None, None)]
        assert rows(engine, select(c.id).where(c.new_mood == "glad")) == []
        assert rows(engine, select(c.id).where(sa.or_(c.new_mood == "sad", c.mood > "sad"))) == [
            (1,)
        ]
        assert rows(engine, select(sa.func.unnest(c.new_list))) == []


def test_indexes_are_used(postgres: PostgresDatabase, engine: Engine) -> None:
    """Also where one statement reads the table twice, which else would copy it whole."""
    metadata = sa.MetaData()
    table = sa.Table(
        "big", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("grp", sa.Text)
    )
    postgres.run("CREATE TABLE big (id int PRIMARY KEY)")
    postgres.run("INSERT INTO big SELECT generate_series(1, 5000); ANALYZE big")
    again = table.alias()
    query = select(table, again.c.grp).join(again, again.c.id == table.c.id + 1)
    text = str(query.where(table.c.id == 7).compile(compile_kwargs={"literal_binds": True}))
    with attach(engine, metadata):
        plan = "\n".join(line for (line,) in rows(engine, f"EXPLAIN {text}"))
    assert plan.count("Index") >= 2, plan
    assert "Seq Scan" not in plan
