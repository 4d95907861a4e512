"""The prelude shows a stored table in its declared shape: no column more, none less, none stale."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    case,
    column,
    exists,
    func,
    literal,
    select,
    table,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

from landscape_compat.errors import RuleError, UnreadableError
from landscape_compat.projection.plan import make_plan
from landscape_compat.projection.rules import RuleSet, derived, mapped, neutral, renamed
from landscape_compat.projection.tokens import SQLITE
from landscape_compat.schema.catalogue.sqlite import read_stored
from landscape_compat.schema.declared import declared_schema
from projection.statements import KEYWORDS
from support.planned import plan_for

TOKENS = table("tokens", column("token_id"), column("state"), column("n"))
OTHERS = table("others", column("token_id"), column("value"))
STORED = """
    CREATE TABLE tokens (token_id VARCHAR NOT NULL PRIMARY KEY, state VARCHAR, n INTEGER);
    CREATE TABLE others (token_id VARCHAR, value VARCHAR);
    INSERT INTO tokens VALUES ('a', 'on', 1), ('b', 'off', NULL);
    INSERT INTO others VALUES ('a', 'x');
"""


def declare(**columns: Any) -> MetaData:
    metadata = MetaData()
    key = Column("token_id", String, primary_key=True)
    more: list[Column[Any]] = [Column(name, type_) for name, type_ in columns.items()]
    Table("tokens", metadata, key, *more)
    return metadata


@pytest.fixture
def stored(empty: sqlite3.Connection) -> sqlite3.Connection:
    empty.executescript(STORED)
    return empty


def render(
    connection: sqlite3.Connection, metadata: MetaData, *rules: object, names: str = "", **how: bool
) -> str:
    plan = plan_for(connection, metadata, rules)  # type: ignore[arg-type]
    projection = plan.projections["tokens"]
    named = frozenset(names.split())
    return projection.render(
        "tokens",
        named,
        everything=how.get("everything", False),
        row_numbers=named & SQLITE.row_numbers,
    )


def read(connection: sqlite3.Connection, cte: str, what: str) -> list[tuple[object, ...]]:
    return connection.execute(f"WITH {cte} SELECT {what} FROM tokens ORDER BY token_id").fetchall()


def test_only_missing_columns_that_are_asked_for(stored: sqlite3.Connection) -> None:
    """A name that the scan overlooked fails at the database, and is not NULL."""
    metadata = declare(one=String(), two=String())
    cte = render(stored, metadata, names="one")
    assert cte.startswith("tokens AS NOT MATERIALIZED (SELECT t.*, ")
    assert read(stored, cte, "token_id, one") == [("a", None), ("b", None)]
    with pytest.raises(sqlite3.OperationalError, match="no such column: two"):
        read(stored, cte, "two")
    whole = render(stored, metadata, everything=True)
    assert read(stored, whole, "*")[0] == ("a", "on", 1, None, None)


def test_a_column_that_appears_meanwhile_is_seen(stored: sqlite3.Connection) -> None:
    """Beside `t.*`, SQLite takes the real column of a name for the projected one."""
    cte = render(stored, declare(one=String()), names="one")
    stored.execute("ALTER TABLE tokens ADD COLUMN one VARCHAR DEFAULT 'real'")
    assert read(stored, cte, "one") == [("real",), ("real",)]


def test_replaced_values_stand_in_their_columns_place(stored: sqlite3.Connection) -> None:
    """Where values are replaced the columns are listed, in stored order, and only if asked."""
    rule = mapped("tokens.state", {"on": "running"})
    metadata = declare(state=String(), n=Integer())
    whole = render(stored, metadata, rule, everything=True)
    assert read(stored, whole, "*") == [("a", "running", 1), ("b", "off", None)]
    assert "t.*" in render(stored, metadata, rule, names="n")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (renamed("tokens.new", "state"), ["on", "off"]),
        (
            derived(
                "tokens.new", select(OTHERS.c.value).where(OTHERS.c.token_id == TOKENS.c.token_id)
            ),
            ["x", None],
        ),
        (
            derived(
                "tokens.new",
                case((exists().where(OTHERS.c.token_id == TOKENS.c.token_id), "yes"), else_="no"),
            ),
            ["yes", "no"],
        ),
        (
            derived(
                "tokens.new",
                select(func.max(TOKENS.alias("o").c.token_id)).where(TOKENS.c.n.is_(None)),
            ),
            [None, "b"],
        ),
        (neutral("tokens.new", literal("it's 100%")), ["it's 100%", "it's 100%"]),
        (derived("tokens.new", func.upper(TOKENS.c.state)), ["ON", "OFF"]),
    ],
)
def test_each_kind_of_expression(
    stored: sqlite3.Connection, rule: object, expected: list[object]
) -> None:
    """A rule's own table is the row in hand; others, aliased or not, are the stored ones."""
    cte = render(stored, declare(new=String()), rule, names="new")
    assert [value for (value,) in read(stored, cte, "new")] == expected


@pytest.mark.parametrize(
    ("type_", "given", "compared"),
    [(Integer(), 5, "5"), (String(), "5", 5), (Float(), 5, "5"), (Boolean(), 1, "1")],
)
def test_a_value_compares_as_a_columns_would(
    stored: sqlite3.Connection, type_: object, given: object, compared: object
) -> None:
    """An expression gets its column's affinity, so that 5 and '5' meet as on a migrated copy."""
    rule = derived("tokens.new", case((TOKENS.c.token_id == "a", literal(given)), else_=None))
    cte = render(stored, declare(new=type_), rule, names="new")
    found = stored.execute(f"WITH {cte} SELECT token_id FROM tokens WHERE new = {compared!r}")
    assert found.fetchall() == [("a",)]


VALUES = (
    None, 0, 5, -1, 2**53 + 1, 2**63 - 1, 0.5, 5.0, -0.0, 1e308, 9.3e18, "", "5", "05", " 7 ",
    "1.0", "1e3", "0.5", "5x", "x", "9223372036854775808", "+5", "0x10", "\u0665", b"", b"5",
)  # fmt: skip


@pytest.mark.parametrize("given", ["", "TEXT", "INTEGER", "REAL", "NUMERIC", "VARCHAR(3)"])
@pytest.mark.parametrize(
    "type_", [Integer(), String(), Float(), Boolean(), Numeric(10, 2), LargeBinary(), DateTime()]
)
@pytest.mark.parametrize("calculated", [False, True])
def test_a_value_is_as_its_column_would_store_it(
    empty: sqlite3.Connection, given: str, type_: TypeEngine[Any], calculated: bool
) -> None:
    """A column for numbers makes 5 of '5', one for text '5' of 5, and so does a projection."""
    declared = type_.compile(sqlite.dialect())
    empty.execute(f"CREATE TABLE tokens (token_id INTEGER PRIMARY KEY, v {given})")
    values = [value for value in VALUES if not (declared == "VARCHAR" and isinstance(value, bytes))]
    empty.executemany("INSERT INTO tokens (v) VALUES (?)", [(value,) for value in values])
    empty.execute(f"CREATE TABLE copy (token_id INTEGER PRIMARY KEY, new {declared})")
    own = table("tokens", column("v")).c.v
    if calculated:
        rule, sql = derived("tokens.new", func.ifnull(own, None)), "ifnull(v, NULL)"
    else:
        rule, sql = derived("tokens.new", own), "v"
    empty.execute(f"INSERT INTO copy SELECT token_id, {sql} FROM tokens")
    cte = render(empty, declare(new=type_), rule, names="new")
    for what in (
        "new, typeof(new)",
        "new = 5, new = '5', new < 6, new > '6', new = 1.0, new = v.value",
        "new IN (5, 7), new IN ('5', '7'), new BETWEEN '4' AND '6'",
    ):
        both = "(SELECT 5 AS value UNION ALL SELECT '5') AS v ORDER BY token_id"
        found = empty.execute(f"WITH {cte} SELECT {what} FROM tokens, {both}").fetchall()
        expected = empty.execute(f"SELECT {what} FROM copy, {both}").fetchall()
        assert repr(found) == repr(expected)


@pytest.mark.parametrize("value", [5, 0.5, 5.0, True])
@pytest.mark.parametrize("type_", [Integer(), Float(), Numeric(10, 2), String()])
def test_a_constant_is_as_its_column_would_store_it(
    stored: sqlite3.Connection, value: object, type_: TypeEngine[Any]
) -> None:
    """Half a thing stays half a thing, also in a column for whole numbers."""
    stored.execute(f"CREATE TABLE copy (new {type_.compile(sqlite.dialect())})")
    stored.execute("INSERT INTO copy VALUES (?)", (value,))
    expected = stored.execute("SELECT new FROM copy").fetchall()
    cte = render(stored, declare(new=type_), neutral("tokens.new", literal(value)), names="new")
    assert repr(read(stored, cte, "new")[:1]) == repr(expected)


def test_a_constant_behind_an_outer_join_outlives_a_row_without_a_partner(
    stored: sqlite3.Connection,
) -> None:
    """SQLite 3.40 works it out once, and overwrote it by that row's NULL."""
    rule = neutral("tokens.one", literal(0.5))
    cte = render(stored, declare(one=Float()), rule, names="one token_id")
    left = "(VALUES ('a'), ('none'), ('b')) AS wanted LEFT JOIN tokens ON token_id = column1"
    found = stored.execute(f"WITH {cte} SELECT column1, one FROM {left}").fetchall()
    assert found == [("a", 0.5), ("none", None), ("b", 0.5)]


@pytest.mark.parametrize("rule", ["absent", "derived", "renamed"])
def test_a_column_compares_text_in_its_declared_order(
    stored: sqlite3.Connection, rule: str
) -> None:
    """A reader that declares NOCASE finds 'ON' as 'on'; what stands left of it goes first."""
    rules = {
        "absent": (),
        "derived": (derived("tokens.new", func.upper(TOKENS.c.state)),),
        "renamed": (renamed("tokens.new", "state"),),
    }[rule]
    cte = render(stored, declare(new=String(9, collation="NOCASE")), *rules, names="new")
    stored.execute("CREATE TABLE copy (token_id, state, new VARCHAR(9) COLLATE NOCASE)")
    value = {"absent": "NULL", "derived": "upper(state)", "renamed": "state"}[rule]
    stored.execute(f"INSERT INTO copy SELECT token_id, state, {value} FROM tokens")
    for what in (
        "new, new = 'oN', 'oN' = new, new IN ('oN'), new > 'OG'",
        "state = new, new = state, upper(state) = new, max(new, 'oX')",
        "(SELECT count(*) FROM (SELECT new UNION SELECT 'oN'))",
        "(SELECT count(*) FROM (SELECT state UNION SELECT new))",
        "new = 'oN' COLLATE BINARY",
    ):
        expected = stored.execute(f"SELECT {what} FROM copy ORDER BY token_id").fetchall()
        assert read(stored, cte, what) == expected


def test_an_order_of_text_that_is_not_known_is_no_error_where_there_is_no_text(
    stored: sqlite3.Connection,
) -> None:
    """A reader may declare one that its own server has."""
    cte = render(stored, declare(new=String(collation="utf8mb4_bin")), names="new")
    assert read(stored, cte, "new") == [(None,), (None,)]


def test_a_replaced_column_keeps_its_stored_order_of_text(empty: sqlite3.Connection) -> None:
    """Whatever the reader declares: a migration would have changed its values alone."""
    empty.executescript(
        "CREATE TABLE tokens (token_id VARCHAR PRIMARY KEY, state VARCHAR COLLATE NOCASE);"
        "INSERT INTO tokens VALUES ('a', 'On'), ('b', 'new'), ('c', 'x')"
    )
    rule = mapped("tokens.state", {"new": "ON"})
    for collation in (None, "RTRIM"):
        metadata = declare(state=String(collation=collation))
        cte = render(empty, metadata, rule, names="state")
        found = empty.execute(f"WITH {cte} SELECT state FROM tokens WHERE state = 'on'").fetchall()
        assert sorted(found) == [("ON",), ("On",)]


def test_a_missing_table_reads_as_no_rows(stored: sqlite3.Connection) -> None:
    """It has the declared columns, and nothing in them."""
    metadata = declare()
    Table("gone", metadata, Column("id", Integer, primary_key=True), Column("order", String))
    cte = (
        plan_for(stored, metadata).projections["gone"].render("gone", frozenset(), everything=True)
    )
    cursor = stored.execute(f"WITH {cte} SELECT * FROM gone")
    assert ([c[0] for c in cursor.description], cursor.fetchall()) == (["id", "order"], [])


def test_the_row_number_comes_along_where_it_is_named(stored: sqlite3.Connection) -> None:
    """A common table expression has none of its own; beside `*` it would show, and is refused."""
    metadata = declare(one=String())
    for name in ("rowid", "oid", "_rowid_"):
        cte = render(stored, metadata, names=f"{name} one")
        assert read(stored, cte, f"{name}, one") == [(1, None), (2, None)]
        with pytest.raises(UnreadableError, match="row number"):
            render(stored, metadata, names=name, everything=True)


def test_a_column_by_a_name_of_the_row_number_is_that_column(empty: sqlite3.Connection) -> None:
    """Whether it is stored or missing, and beside `*` too."""
    empty.executescript(
        "CREATE TABLE tokens (token_id TEXT NOT NULL PRIMARY KEY, OID TEXT);"
        "INSERT INTO tokens VALUES ('a', 'stored')"
    )
    cte = render(empty, declare(OID=String(), rowid=String()), names="oid rowid", everything=True)
    assert read(empty, cte, "*") == [("a", "stored", None)]
    assert read(empty, cte, "oid, rowid") == [("stored", None)]


def test_the_row_number_of_a_missing_table_is_there(stored: sqlite3.Connection) -> None:
    """So that naming it gives no rows, as on an empty table, and no error."""
    metadata = declare()
    Table("gone", metadata, Column("id", String, primary_key=True))
    projection = plan_for(stored, metadata).projections["gone"]
    named = frozenset({"rowid"})
    cte = projection.render("gone", named, everything=False, row_numbers=named)
    assert stored.execute(f"WITH {cte} SELECT rowid, gone.rowid FROM gone").fetchall() == []


def test_a_table_without_row_numbers_has_none_to_bring(empty: sqlite3.Connection) -> None:
    """The name then fails as it does on the stored table."""
    empty.execute("CREATE TABLE tokens (token_id TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID")
    cte = render(empty, declare(one=String()), names="rowid one")
    with pytest.raises(sqlite3.OperationalError, match="no such column: rowid"):
        read(empty, cte, "rowid")


def test_a_table_at_the_limit_takes_the_columns_it_has_room_for(empty: sqlite3.Connection) -> None:
    """SQLite shows 2000 columns; what does not fit beside the stored ones is refused."""
    many = ", ".join(f"c{number} INTEGER" for number in range(1998))
    empty.execute(f"CREATE TABLE tokens (token_id TEXT NOT NULL PRIMARY KEY, {many})")
    metadata = declare(one=String(), two=String())
    assert read(empty, render(empty, metadata, names="one"), "one") == []
    with pytest.raises(UnreadableError, match="1999 columns already"):
        render(empty, metadata, names="one two")


def test_a_column_that_cannot_be_read_is_refused_only_if_it_is(stored: sqlite3.Connection) -> None:
    """Others of its table stay readable."""
    gone = table("gone", column("run_id"))
    rule = derived("tokens.run_id", select(gone.c.run_id), essential=True)
    metadata = declare(run_id=String(), one=String())
    with pytest.raises(UnreadableError, match=r"tokens\.run_id"):
        render(stored, metadata, rule, names="run_id")
    assert read(stored, render(stored, metadata, rule, names="one"), "one") == [(None,), (None,)]


@pytest.mark.parametrize(
    "name", ["order", "odd name", 'say "x"', "50%", ":x", "a;b", "x\ny", "été", "\u202ertl", "t"]
)
def test_odd_names_are_quoted(empty: sqlite3.Connection, name: str) -> None:
    """Names that are words of SQL, or would end one, are names all the same."""
    quoted = '"' + name.replace('"', '""') + '"'
    empty.execute(f"CREATE TABLE {quoted} (id INTEGER NOT NULL PRIMARY KEY)")
    empty.execute(f"INSERT INTO {quoted} VALUES (7)")
    metadata = MetaData()
    Table(name, metadata, Column("id", Integer, primary_key=True), Column(name, String))
    (projection,) = plan_for(empty, metadata).projections.values()
    cte = projection.render(name, frozenset(), everything=True)
    found = empty.execute(f"WITH {cte} SELECT id, {quoted} FROM {quoted}").fetchall()
    assert found == [(7, None)]


def test_every_word_of_sqlites_may_be_a_name() -> None:
    """Of a table and of its columns, stored, replaced or missing; two cannot be shown at all."""
    for word in (*KEYWORDS, "materialized", "strict"):
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute(f'CREATE TABLE "{word}" (id TEXT, "{word}" TEXT)')
            connection.execute(f"INSERT INTO \"{word}\" VALUES ('1', 'x')")
            metadata = MetaData()
            columns = [Column(name, String) for name in (word, f"{word}_more")]
            Table(word, metadata, Column("id", String, primary_key=True), *columns)
            plan = plan_for(connection, metadata, [mapped(f"{word}.{word}", {"x": "y"})])
            cte = plan.projections[word].render(word, frozenset(), everything=True)
            found = connection.execute(f'WITH {cte} SELECT * FROM "{word}"').fetchall()
            assert found == [("1", "y", None)], word


@pytest.mark.parametrize("name", ["true", "FALSE"])
def test_a_name_that_sqlite_cannot_show_is_refused(empty: sqlite3.Connection, name: str) -> None:
    """Through a common table expression, SQLite takes it for a constant."""
    empty.execute("CREATE TABLE tokens (token_id TEXT NOT NULL PRIMARY KEY)")
    metadata = declare(**{name: String(), "one": String()})
    with pytest.raises(UnreadableError, match="constant"):
        render(empty, metadata, everything=True)
    assert read(empty, render(empty, metadata, names="one"), "one") == []


_CTE = select(OTHERS.c.value).cte("c")


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        (OTHERS.c.value, "reads another table outside of a SELECT"),
        (
            select(OTHERS.c.value).select_from(
                TOKENS.join(OTHERS, OTHERS.c.token_id == TOKENS.c.token_id)
            ),
            "selects from its own table",
        ),
        (select(_CTE.c.value), "has a common table expression outside of its SELECT"),
    ],
)
def test_what_is_no_value_of_the_row_in_hand_is_an_error_of_the_rule(
    stored: sqlite3.Connection, expression: Any, why: str
) -> None:
    """It would give each row the value of another, or every row that of one."""
    with pytest.raises(RuleError, match=rf"The rule for tokens\.new {why}"):
        render(stored, declare(new=String()), derived("tokens.new", expression), everything=True)


def test_what_a_dialect_cannot_say_is_an_error_of_the_rule(stored: sqlite3.Connection) -> None:
    """A value that cannot be written out is told with the rule that has it."""
    rule = neutral("tokens.new", literal(object()))
    with pytest.raises(RuleError, match=r"tokens\.new"):
        render(stored, declare(new=String()), rule, everything=True)


def test_postgresql_is_told_every_type(empty: sqlite3.Connection) -> None:
    """A NULL without a type breaks joins there; a length would cut a value without a word."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    metadata = declare(new=String(16), n=Integer())
    declared = declared_schema(metadata, dialect, "public")
    rules = RuleSet([derived("tokens.new", func.upper(TOKENS.c.state))])
    empty.execute("CREATE TABLE tokens (token_id VARCHAR NOT NULL PRIMARY KEY, state VARCHAR)")
    plan = make_plan(read_stored(empty), declared, rules, dialect, "public")
    cte = plan.projections["tokens"].render("tokens", frozenset(), everything=True)
    assert 'CAST(upper(t.state) AS VARCHAR) AS "new"' in cte
    assert "CAST(NULL AS INTEGER) AS n" in cte
    assert "FROM public.tokens AS t" in cte
