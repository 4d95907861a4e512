"""Two databases with the same rows: one in an older shape, one migrated to the newest."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import (
    URL,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    column,
    create_engine,
    select,
    table,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from landscape_compat.projection.rules import Rule, derived

__all__ = ["METADATA", "ROWS", "RULES", "TOKENS", "Token", "make_postgresql", "make_sqlite"]


class Base(DeclarativeBase):
    """The reader's declarations."""


class Token(Base):
    """Two of its columns came later: one is derived, the other absent."""

    __tablename__ = "tokens"
    token_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    row_id: Mapped[str] = mapped_column(String(64), index=True)
    branch_name: Mapped[str | None] = mapped_column(String(64))
    step: Mapped[int]
    created_at: Mapped[str] = mapped_column(String(32))
    # Deriving it is work for the database, which is no part of what a hook costs.
    run_id: Mapped[str | None] = mapped_column(String(64), deferred=True)
    expand_group_id: Mapped[str | None] = mapped_column(String(32))


METADATA: MetaData = Base.metadata
TOKENS: Table = METADATA.tables["tokens"]
ROWS = Table(
    "rows",
    METADATA,
    Column("row_id", String(64), primary_key=True),
    Column("run_id", String(64), nullable=False),
    Column("row_index", Integer, nullable=False),
)
Table(
    "node_states",
    METADATA,
    Column("state_id", String(64), primary_key=True),
    Column("token_id", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("run_id", String(64)),
)
Table(
    "token_outcomes",
    METADATA,
    Column("outcome_id", String(64), primary_key=True),
    Column("token_id", String(64), ForeignKey("tokens.token_id")),
)

_ROWS = table("rows", column("row_id"), column("run_id"))
_TOKENS = table("tokens", column("token_id"), column("row_id"))
_STATES = table("node_states", column("token_id"))
RULES: tuple[Rule, ...] = (
    derived(
        "tokens.run_id",
        select(_ROWS.c.run_id).where(_ROWS.c.row_id == _TOKENS.c.row_id),
        essential=True,
    ),
    derived(
        "node_states.run_id",
        select(_ROWS.c.run_id)
        .join_from(_TOKENS, _ROWS, _ROWS.c.row_id == _TOKENS.c.row_id)
        .where(_TOKENS.c.token_id == _STATES.c.token_id),
        essential=True,
    ),
)

OLD_DDL = (
    "CREATE TABLE rows (row_id VARCHAR(64) NOT NULL PRIMARY KEY, run_id VARCHAR(64) NOT NULL,"
    " row_index INTEGER NOT NULL)",
    "CREATE TABLE tokens (token_id VARCHAR(64) NOT NULL PRIMARY KEY,"
    " row_id VARCHAR(64) NOT NULL, branch_name VARCHAR(64), step INTEGER NOT NULL,"
    " created_at VARCHAR(32) NOT NULL)",
    "CREATE INDEX ix_tokens_row_id ON tokens (row_id)",
    "CREATE TABLE node_states (state_id VARCHAR(64) NOT NULL PRIMARY KEY,"
    " token_id VARCHAR(64) NOT NULL, status VARCHAR(16) NOT NULL)",
    "CREATE INDEX ix_node_states_token_id ON node_states (token_id)",
)
NEW_DDL = (
    "ALTER TABLE tokens ADD COLUMN run_id VARCHAR(64)",
    "ALTER TABLE tokens ADD COLUMN expand_group_id VARCHAR(32)",
    "UPDATE tokens SET run_id = (SELECT r.run_id FROM rows AS r WHERE r.row_id = tokens.row_id)",
    "ALTER TABLE node_states ADD COLUMN run_id VARCHAR(64)",
    "UPDATE node_states SET run_id = (SELECT t.run_id FROM tokens AS t"
    " WHERE t.token_id = node_states.token_id)",
    "CREATE TABLE token_outcomes (outcome_id VARCHAR(64) NOT NULL PRIMARY KEY,"
    " token_id VARCHAR(64))",
)


def rows(count: int) -> list[tuple[str, str, int]]:
    """Make the source rows; the same every time."""
    return [(f"row{n:06d}", f"run{n % 10}", n) for n in range(count)]


def tokens(count: int) -> list[tuple[str, str, str | None, int, str]]:
    """Make one token a row; the same every time."""
    return [
        (
            f"token{n:06d}",
            f"row{n:06d}",
            None if n % 3 else f"branch{n % 7}",
            n % 11,
            f"2026-01-{1 + n % 28:02d} 10:00:00.{n:06d}",
        )
        for n in range(count)
    ]


def node_states(count: int) -> list[tuple[str, str, str]]:
    """Make one state of a token each; the same every time."""
    return [
        (f"state{n:06d}", f"token{n:06d}", "completed" if n % 50 else "failed")
        for n in range(count)
    ]


def make_sqlite(folder: Path, count: int) -> tuple[Path, Path]:
    """Write both databases.

    Args:
        folder: Where to.
        count: How many rows, and as many tokens.

    Returns:
        The older one, and the migrated one.
    """
    paths = folder / "old.db", folder / "migrated.db"
    for path, ddl in zip(paths, ((), NEW_DDL), strict=True):
        connection = sqlite3.connect(path)
        for statement in OLD_DDL:
            connection.execute(statement)
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?)", rows(count))
        connection.executemany("INSERT INTO tokens VALUES (?, ?, ?, ?, ?)", tokens(count))
        connection.executemany("INSERT INTO node_states VALUES (?, ?, ?)", node_states(count))
        for statement in ddl:
            connection.execute(statement)
        connection.commit()
        connection.close()
    return paths


def make_postgresql(old: URL, migrated: URL, count: int) -> None:
    """Fill two empty databases of a server.

    Args:
        old: The one to be in the older shape.
        migrated: The other.
        count: How many rows, and as many tokens.
    """
    marks = {
        "rows": "(%s, %s, %s)",
        "tokens": "(%s, %s, %s, %s, %s)",
        "node_states": "(%s, %s, %s)",
    }
    filled = (("rows", rows(count)), ("tokens", tokens(count)), ("node_states", node_states(count)))
    for url, ddl in ((old, ()), (migrated, NEW_DDL)):
        engine = create_engine(url)
        with engine.begin() as connection:
            for statement in OLD_DDL:
                connection.exec_driver_sql(statement)
            for name, values in filled:
                connection.exec_driver_sql(f"INSERT INTO {name} VALUES {marks[name]}", values)
            for statement in ddl:
                connection.exec_driver_sql(statement)
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
        engine.dispose()
