"""Every table, view and virtual table of a SQLite database is read as it is, in one query."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from landscape_compat.errors import AttachError
from landscape_compat.schema.catalogue import catalogue_for
from landscape_compat.schema.catalogue.sqlite import read_stored, read_version
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape
from support.drifts import KELVIN, quoted
from support.untouched import untouched

ODD_NAMES = (
    "rows", "order", "select", "returning", "with space", 'quo"te', "it's", "a;b", "a\nb", "50%",
    ":name", "?", "-- /*", "[x]", "`tick`", "na\u00efve", "\U0001f642", "\u202ertl\u202c", KELVIN,
    "\ufeffbom", "n" * 1000, "main.t", "1st", "$d", "a\tb", "\\", "", "true", "rowid", "NULL",
)  # fmt: skip


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        yield connection


def table(database: sqlite3.Connection, script: str, name: str = "t") -> TableShape:
    database.executescript(script)
    found = read_stored(database).table(name)
    assert found is not None
    return found


def reopened(path: Path, script: str) -> sqlite3.Connection:
    """Change the schema's text as no statement would, and read it as SQLite then does."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return sqlite3.connect(path)


# --- columns ------------------------------------------------------------------------------------


def test_a_column_has_name_type_nullability_and_key(database: sqlite3.Connection) -> None:
    found = table(
        database,
        "CREATE TABLE t (a varchar ( 64 ) NOT NULL, B, c DATETIME DEFAULT 'x', d INTEGER, "
        "PRIMARY KEY (d, a))",
    )
    assert found.columns == (
        ColumnShape("a", "VARCHAR(64)", nullable=False, primary_key=True),
        ColumnShape("B", ""),
        ColumnShape("c", "DATETIME"),
        ColumnShape("d", "INTEGER", nullable=False, primary_key=True),
    )
    assert (found.kind, found.has_rowid) == ("table", True)


def test_a_key_that_sqlite_lets_be_null_is_not_nullable(database: sqlite3.Connection) -> None:
    """As declared: no reader takes a NULL for a key."""
    found = table(database, "CREATE TABLE t (a TEXT PRIMARY KEY)")
    assert not found.columns[0].nullable


def test_generated_columns_are_there_and_told(database: sqlite3.Connection) -> None:
    found = table(
        database,
        "CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a + 1), c TEXT AS (a) STORED, d TEXT)",
    )
    assert [(c.name, c.type, c.generated, c.computed) for c in found.columns] == [
        ("a", "INT", False, False),
        ("b", "INT", True, True),
        ("c", "TEXT", True, False),
        ("d", "TEXT", False, False),
    ]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_is_read(database: sqlite3.Connection, name: str) -> None:
    found = table(database, f"CREATE TABLE {quoted(name)} ({quoted(name)} TEXT)", name)
    assert (found.name, found.column_names) == (name, (name,))


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_is_read_where_the_one_query_fails(
    database: sqlite3.Connection, name: str
) -> None:
    script = f"CREATE TABLE {quoted(name)} ({quoted(name)} TEXT); CREATE VIEW v AS SELECT * FROM x"
    assert table(database, script, name).column_names == (name,)


def test_names_that_only_unicode_takes_for_one_are_two(database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE tokens (k TEXT, \u212a TEXT)")
    database.execute(f"CREATE TABLE {quoted(KELVIN)} (a TEXT)")
    schema = read_stored(database)
    assert len(schema) == 2
    tokens = schema.table("TOKENS")
    assert tokens is not None
    assert tokens.column_names == ("k", "\u212a")


def test_two_thousand_columns(database: sqlite3.Connection) -> None:
    names = [f"c{number}" for number in range(2000)]
    assert table(database, f"CREATE TABLE t ({', '.join(names)})").column_names == tuple(names)


# --- tables -------------------------------------------------------------------------------------


def test_five_thousand_tables_in_the_order_they_were_made(database: sqlite3.Connection) -> None:
    names = [f"t{5000 - number}" for number in range(5000)]
    database.executescript(";".join(f"CREATE TABLE {name} (a, b TEXT)" for name in names))
    assert [found.name for found in read_stored(database)] == names


@pytest.mark.parametrize("seldom", ["", "CREATE VIEW v AS SELECT 1 AS a;"])
def test_one_query_is_enough(database: sqlite3.Connection, seldom: str) -> None:
    database.executescript(f"CREATE TABLE t (a); CREATE TABLE u (a); {seldom}")
    seen: list[str] = []
    database.set_trace_callback(seen.append)
    read_stored(database)
    # SQLite tells of the pragma behind the function as well, as a comment.
    assert len([sql for sql in seen if not sql.startswith("--")]) == 1


@pytest.mark.parametrize(
    "options",
    ["WITHOUT ROWID", "without rowid", "WITHOUT\n\tROWID", "STRICT, WITHOUT ROWID",
     "WITHOUT ROWID, STRICT", "/* ) */ WITHOUT ROWID", "WITHOUT /* (no) */ ROWID",
     "WITHOUT -- )\n ROWID", "WITHOUT ROWID /* ) */", "WITHOUT ROWID -- )"],
)  # fmt: skip
def test_a_table_without_row_numbers(database: sqlite3.Connection, options: str) -> None:
    assert not table(database, f"CREATE TABLE t (a TEXT PRIMARY KEY, b INT) {options}").has_rowid


@pytest.mark.parametrize(
    "rest", ["(a TEXT)", "(a TEXT) STRICT", "(a TEXT, CHECK (a <> 'WITHOUT ROWID'))",
             "(a TEXT DEFAULT ') WITHOUT ROWID')", "AS SELECT 1 AS a", "(a TEXT) -- WITHOUT ROWID",
             "(a TEXT) /* WITHOUT ROWID */", "(without TEXT, rowid TEXT)"],
)  # fmt: skip
def test_a_table_with_row_numbers(database: sqlite3.Connection, rest: str) -> None:
    assert table(database, f"CREATE TABLE t {rest}").has_rowid


def test_a_strict_table(database: sqlite3.Connection) -> None:
    found = table(database, "CREATE TABLE t (a INT, b TEXT, c ANY) STRICT")
    assert [column.type for column in found.columns] == ["INT", "TEXT", "ANY"]


@pytest.mark.parametrize(
    "defined",
    [
        "(a TEXT, b TEXT COLLATE NOCASE, c TEXT COLLATE RTRIM NOT NULL DEFAULT 'COLLATE NOCASE')",
        '(a TEXT collate nocase PRIMARY KEY, b VARCHAR(10) NOT NULL Collate "NOCASE", c)',
        "(a COLLATE binary, b COLLATE [rtrim], c COLLATE `nocase`)",
        "([a] TEXT -- COLLATE RTRIM, b\n COLLATE NOCASE, 'b' /* ( COLLATE RTRIM */ TEXT, \"c\")",
        "(a CHECK (a COLLATE NOCASE <> 'x'), b DEFAULT ('y' COLLATE RTRIM), c, d AS (a COLLATE "
        "NOCASE), UNIQUE (a COLLATE NOCASE), PRIMARY KEY (b COLLATE RTRIM)) WITHOUT ROWID",
        "(a REFERENCES other (a) COLLATE NOCASE, b COLLATE NOCASE COLLATE RTRIM, c CONSTRAINT "
        "collate_me NOT NULL DEFAULT '' COLLATE RTRIM, CONSTRAINT collated UNIQUE (a, b))",
        "(a DEFAULT 'COLLATE' UNIQUE, b \"collate\" NOT NULL, c) -- , a COLLATE NOCASE",
    ],
)
def test_a_column_has_the_collation_that_it_compares_by(
    database: sqlite3.Connection, defined: str
) -> None:
    """It is read off the table's definition, since no pragma tells it."""
    shape = table(database, f"CREATE TABLE t {defined}")
    database.execute("INSERT INTO t (a, b, c) VALUES ('A', 'A', 'A')")
    for column in shape.columns[:3]:
        compared = f"SELECT {column.name} = 'a', {column.name} = 'A  ' FROM t"
        nocase, rtrim = database.execute(compared).fetchone()
        expected = "NOCASE" if nocase else "RTRIM" if rtrim else "BINARY"
        assert (column.collation.upper() or "BINARY") == expected


def test_a_collation_that_was_altered_in_is_seen(database: sqlite3.Connection) -> None:
    database.executescript(
        "CREATE TABLE t (a TEXT); ALTER TABLE t ADD COLUMN b TEXT COLLATE NOCASE;"
        'ALTER TABLE t RENAME COLUMN b TO "collate";'
        "CREATE VIEW v AS SELECT a, 1 AS b FROM t WHERE a COLLATE NOCASE = 'x';"
    )
    table, view = read_stored(database)
    assert [c.collation for c in (*table.columns, *view.columns)] == ["", "NOCASE", "", ""]


def test_the_tables_of_sqlite_itself_are_left_out(database: sqlite3.Connection) -> None:
    database.executescript(
        "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT, b); CREATE INDEX i ON t (b);"
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END;"
        "INSERT INTO t VALUES (1, 2); ANALYZE; CREATE TABLE sqlitex (a); CREATE TABLE sqlit (a)"
    )
    assert [found.name for found in read_stored(database)] == ["t", "sqlitex", "sqlit"]


@pytest.mark.parametrize("broken", ["", "CREATE VIEW broken AS SELECT * FROM gone;"])
def test_only_the_main_database_is_read(database: sqlite3.Connection, broken: str) -> None:
    database.executescript(
        f"CREATE TABLE t (a); {broken} ATTACH ':memory:' AS other; CREATE TABLE other.t (b);"
        "CREATE TABLE other.u (b); CREATE TEMP TABLE t (c); CREATE TEMP TABLE v (c)"
    )
    found = [table for table in read_stored(database) if table.kind == "table"]
    assert [(table.name, table.column_names) for table in found] == [("t", ("a",))]


def test_an_empty_database_stores_nothing(database: sqlite3.Connection) -> None:
    assert read_stored(database) == SchemaShape.of()


# --- what is no table -----------------------------------------------------------------------------


def test_a_view_has_the_columns_that_it_shows(database: sqlite3.Connection) -> None:
    found = table(
        database,
        "CREATE TABLE u (a INTEGER, b VARCHAR(9)); CREATE VIEW t AS SELECT b, a AS x FROM u",
    )
    assert found == TableShape(
        "t", (ColumnShape("b", "VARCHAR(9)"), ColumnShape("x", "INTEGER")), "view", has_rowid=False
    )


@pytest.mark.parametrize(
    "broken",
    [
        "SELECT * FROM gone",
        "SELECT absent FROM whole",
        "SELECT no_such_function(a) FROM whole",
        "SELECT * FROM broken",
        "SELECT a, count(b), max(nope) FROM whole",
    ],
)
def test_a_view_that_no_longer_works_has_no_columns(
    database: sqlite3.Connection, broken: str
) -> None:
    """And what else there is reads as if it were not there."""
    database.executescript(
        f"CREATE TABLE whole (a, b TEXT); CREATE VIEW broken AS {broken};"
        "CREATE VIEW fine AS SELECT b FROM whole; CREATE TABLE last (c PRIMARY KEY) WITHOUT ROWID"
    )
    schema = read_stored(database)
    assert [(found.name, found.kind, found.column_names) for found in schema] == [
        ("whole", "table", ("a", "b")),
        ("broken", "view", ()),
        ("fine", "view", ("b",)),
        ("last", "table", ("c",)),
    ]
    assert [found.has_rowid for found in schema] == [True, False, False, False]


@pytest.mark.parametrize("broken", ["", "CREATE VIEW v AS SELECT * FROM gone;"])
def test_a_virtual_table_shows_its_own_columns(database: sqlite3.Connection, broken: str) -> None:
    """Not the hidden ones, which `*` does not show either."""
    found = table(database, f"{broken} CREATE VIRTUAL TABLE tokens USING fts5(a, b)", "tokens")
    assert (found.kind, found.column_names) == ("virtual", ("a", "b"))


@pytest.mark.parametrize("spelled", ["CREATE VIRTUAL TABLE", "create  virtual\ntable"])
def test_a_virtual_table_of_an_unknown_module_has_no_columns(tmp_path: Path, spelled: str) -> None:
    with closing(
        reopened(
            tmp_path / "unknown.db",
            f"""
            CREATE TABLE whole (a, b TEXT);
            PRAGMA writable_schema = ON;
            INSERT INTO sqlite_schema
                VALUES ('table', 'strange', 'strange', 0, '{spelled} strange USING nosuch(a, b)');
            """,
        )
    ) as database:
        assert [(t.name, t.kind, t.column_names) for t in read_stored(database)] == [
            ("whole", "table", ("a", "b")),
            ("strange", "virtual", ()),
        ]


def test_a_damaged_schema_says_so_in_its_own_words(tmp_path: Path) -> None:
    with (
        closing(
            reopened(
                tmp_path / "damaged.db",
                """
                CREATE TABLE t (a); PRAGMA writable_schema = ON;
                UPDATE sqlite_schema SET sql = 'CREATE TABLE t (';
                """,
            )
        ) as database,
        pytest.raises(sqlite3.DatabaseError, match="malformed database schema"),
    ):
        read_stored(database)


def test_a_table_whose_columns_cannot_be_told_is_not_one_without_columns(
    database: sqlite3.Connection,
) -> None:
    """Every declared column of it would read as missing."""
    database.executescript("CREATE TABLE t (a); CREATE VIEW v AS SELECT * FROM gone")
    denied = (sqlite3.SQLITE_PRAGMA, "table_xinfo")
    database.set_authorizer(lambda *asked: int(asked[:2] == denied))
    with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
        read_stored(database)


# --- how it is read -------------------------------------------------------------------------------


def test_reading_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "stored.db"
    reopened(path, "CREATE TABLE t (a); CREATE VIEW v AS SELECT * FROM gone").close()
    with (
        untouched(path),
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database,
    ):
        assert len(read_stored(database)) == 2
        assert read_version(database) == 2


@pytest.mark.parametrize(
    "pragma",
    ["trusted_schema = OFF", "case_sensitive_like = ON", "query_only = ON", "short_column_names=0"],
)
def test_settings_of_the_connection_change_nothing(
    database: sqlite3.Connection, pragma: str
) -> None:
    database.executescript("CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT)")
    before = read_stored(database)
    database.execute(f"PRAGMA {pragma}")
    assert read_stored(database) == before


def test_rows_of_a_kind_of_their_own_change_nothing(database: sqlite3.Connection) -> None:
    database.executescript("CREATE TABLE t (a); CREATE VIEW v AS SELECT * FROM gone")
    before = read_stored(database)
    database.row_factory = sqlite3.Row
    assert read_stored(database) == before


def test_a_table_named_like_the_function_that_tells_columns(database: sqlite3.Connection) -> None:
    found = table(database, "CREATE TABLE pragma_table_xinfo (a); CREATE TABLE t (b)")
    assert found.column_names == ("b",)


def test_the_version_grows_with_every_change_of_the_schema_only(
    database: sqlite3.Connection,
) -> None:
    versions = [read_version(database)]
    for statement, changes in (
        ("CREATE TABLE t (a)", True),
        ("INSERT INTO t VALUES (1)", False),
        ("ALTER TABLE t ADD COLUMN b", True),
        ("CREATE INDEX i ON t (b)", True),
        ("UPDATE t SET a = 2", False),
        ("DROP INDEX i", True),
    ):
        database.execute(statement)
        database.commit()
        versions.append(read_version(database))
        assert (versions[-1] > versions[-2]) is changes


# --- finding it -----------------------------------------------------------------------------------


def test_the_catalogue_is_found_by_the_dialect() -> None:
    catalogue = catalogue_for("sqlite")
    assert (catalogue.default_schema, catalogue.read_stored) == ("main", read_stored)


def test_a_dialect_that_is_not_known_is_refused() -> None:
    with pytest.raises(AttachError, match=r"'oracle' is not known .* Use one of: .*sqlite"):
        catalogue_for("oracle")
