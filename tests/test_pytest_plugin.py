"""The pytest plugin makes older databases, sees that they are left alone, and compares answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import func, select

from landscape_compat import RuleError, derived, renamed
from landscape_compat.engine.attach import attachment_of

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")
METADATA = sa.MetaData()
USERS = sa.Table(
    "users",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("login", sa.String(40)),
    sa.Column("email", sa.String(90)),
)
ORDERS = sa.Table(
    "orders",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id")),
)
ROWS = {"users": [{"id": 1, "name": "ann"}, {"id": 2, "name": "bob"}]}
ID: Any = sa.table("users", sa.column("id", sa.Integer)).c.id
Make = Callable[..., Any]


@pytest.fixture
def older(older_database: Make) -> Any:
    """Give a database of before the login was called so, and before there were orders."""
    return older_database(
        METADATA,
        without=("users.login", "users.email", "orders"),
        stored={"users.name": sa.String(40)},
        rows=ROWS,
        rules=[renamed("users.login", "name")],
        migrate=_migrate,
    )


def _migrate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE users ADD COLUMN login VARCHAR(40)")
    connection.exec_driver_sql("UPDATE users SET login = name")
    connection.exec_driver_sql("ALTER TABLE users ADD COLUMN email VARCHAR(90)")
    ORDERS.create(connection)


def test_an_older_database_reads_as_the_migrated_one(
    older: Any, assert_equivalent: Make, assert_source_untouched: Make
) -> None:
    """Whatever is asked, and nothing is changed by it."""
    with assert_source_untouched(older.path):
        assert_equivalent(select(USERS).order_by(USERS.c.id), older)
        assert_equivalent(select(USERS.c.login).where(USERS.c.email.is_(None)), older)
        assert_equivalent("SELECT * FROM users LEFT JOIN orders ON user_id = users.id", older)
        assert_equivalent(select(func.count()).select_from(ORDERS), older)


def test_a_rule_that_is_wrong_is_found_out(older_database: Make, assert_equivalent: Make) -> None:
    """It says something else than the program's migration does."""
    wrong = older_database(
        METADATA,
        without=("users.login",),
        stored={"users.name": sa.String(40)},
        rows=ROWS,
        rules=[derived("users.login", func.upper(sa.table("users", sa.column("name")).c.name))],
        migrate=lambda connection: [
            connection.exec_driver_sql("ALTER TABLE users ADD COLUMN login VARCHAR(40)"),
            connection.exec_driver_sql("UPDATE users SET login = name"),
        ],
    )
    with pytest.raises(AssertionError, match="ANN"):
        assert_equivalent(select(USERS.c.login), wrong)


@pytest.mark.parametrize(
    ("email", "added", "query", "differs"),
    [
        (sa.literal("1"), "email TEXT DEFAULT '1'", "SELECT email FROM users", None),
        (sa.literal("1"), "email INTEGER DEFAULT 1", "SELECT email FROM users", "int"),
        (sa.literal("1"), "EMAIL TEXT DEFAULT '1'", "SELECT * FROM users", "EMAIL"),
        (3 - ID, "email TEXT AS (id)", "SELECT id FROM users ORDER BY email", "'1'"),
    ],
    ids=["alike", "type", "name", "order"],
)
def test_what_answers_differ_in(
    older_database: Make,
    assert_equivalent: Make,
    email: Any,
    added: str,
    query: str,
    differs: str | None,
) -> None:
    """The type of a value, the name of a column, and the order of rows that the query asks for."""
    older = older_database(
        METADATA,
        without=("users.email",),
        rows={"users": [{"id": 1, "login": "zoe"}, {"id": 2, "login": "ann"}]},
        rules=[derived("users.email", email)],
        migrate=lambda connection: connection.exec_driver_sql(f"ALTER TABLE users ADD {added}"),
    )
    if differs is None:
        assert_equivalent(query, older)
    else:
        with pytest.raises(AssertionError, match=differs):
            assert_equivalent(query, older)


def test_an_order_that_nobody_asked_for_does_not_count(
    older_database: Make, assert_equivalent: Make
) -> None:
    """An index of the migrated copy may change it."""
    older = older_database(
        METADATA,
        without=("users.email",),
        rows={"users": [{"id": 1, "login": "zoe"}, {"id": 2, "login": "ann"}]},
        migrate=lambda connection: [
            connection.exec_driver_sql("ALTER TABLE users ADD email VARCHAR(90)"),
            connection.exec_driver_sql("CREATE INDEX by_login ON users (login)"),
        ],
    )
    found = []
    for engine in (older.engine, older.migrated):
        with engine.connect() as connection:
            found.append(connection.execute(select(USERS.c.login)).scalars().all())
    assert found == [["zoe", "ann"], ["ann", "zoe"]]
    assert_equivalent(select(USERS.c.login), older)


def test_without_a_migration_what_is_missing_is_empty(
    older_database: Make, assert_equivalent: Make
) -> None:
    """The simplest migration there is."""
    older = older_database(METADATA, without=("users.email", "orders"))
    assert_equivalent(select(USERS), older)
    assert_equivalent(select(ORDERS), older)


def test_a_table_that_is_given_no_rows_is_empty(older_database: Make) -> None:
    """SQLAlchemy would insert one of defaults alone."""
    older = older_database(METADATA, without=("users.email",), rows={**ROWS, "orders": []})
    for engine in (older.engine, older.migrated):
        with engine.connect() as connection:
            assert connection.execute(select(ORDERS)).all() == []
            assert len(connection.execute(select(USERS)).all()) == 2


def test_a_change_of_the_source_is_found_out(older: Any, assert_source_untouched: Make) -> None:
    """Also a file that appears beside it."""
    with pytest.raises(AssertionError, match="bytes"), assert_source_untouched(older.path):
        older.path.write_bytes(older.path.read_bytes() + b" ")
    with pytest.raises(AssertionError, match="names"), assert_source_untouched(older.path):
        (older.path.parent / "more").touch()
    with pytest.raises(AssertionError, match="time"), assert_source_untouched(older.path):
        os.utime(older.path, (0, 0))


@pytest.mark.parametrize("path", ["userz", "users.nothing"])
def test_a_name_that_is_not_declared_is_refused(older_database: Make, path: str) -> None:
    """A misspelt one would test nothing."""
    with pytest.raises(RuleError, match=path):
        older_database(METADATA, without=(path,))


@pytest.fixture
def ended() -> Iterator[list[Any]]:
    """Take what is to be closed when the fixtures asked for after this one have ended."""
    made: list[Any] = []
    yield made
    for older in made:
        assert attachment_of(older.engine) is None
        assert [engine.pool.checkedin() for engine in (older.engine, older.migrated)] == [0, 0]


def test_no_connection_is_left(
    ended: list[Any], older_database: Make, assert_equivalent: Make
) -> None:
    """Where a test has ended, others may remove the files."""
    ended.append(older_database(METADATA, without=("users.email",)))
    assert_equivalent(select(USERS), *ended)
    assert ended[0].engine.pool.checkedin() == 1


def test_loading_it_imports_nothing() -> None:
    """Every session of pytest loads the plugin, whether it is used or not."""
    code = (
        "import sys, landscape_compat.pytest_plugin; "
        "print([n for n in ('sqlalchemy', 'structlog', 'wrapt') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
