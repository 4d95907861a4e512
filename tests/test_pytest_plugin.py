"""The pytest plugin makes older databases, sees that they are left alone, and compares answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import func, select

from landscape_compat import RuleError, derived, renamed

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


@pytest.mark.parametrize("path", ["userz", "users.nothing"])
def test_a_name_that_is_not_declared_is_refused(older_database: Make, path: str) -> None:
    """A misspelt one would test nothing."""
    with pytest.raises(RuleError, match=path):
        older_database(METADATA, without=(path,))


def test_loading_it_imports_nothing() -> None:
    """Every session of pytest loads the plugin, whether it is used or not."""
    code = (
        "import sys, landscape_compat.pytest_plugin; "
        "print([n for n in ('sqlalchemy', 'structlog', 'wrapt') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
