"""A Landscape on PostgreSQL, with the rows of one that was built for SQLite."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from psycopg import sql

from landscape_compat.landscape.metadata import metadata_of
from landscape_compat.schema.known import KnownShape
from support.legacy import Written
from support.postgres import OWNER, PostgresDatabase

__all__ = ["copy_landscape"]


def copy_landscape(written: Written, known: KnownShape, postgres: PostgresDatabase) -> None:
    """Make the tables of a shape as SQLAlchemy makes them there, and fill in the same rows.

    Args:
        written: The database to copy.
        known: Its shape.
        postgres: An empty database.
    """
    metadata = metadata_of(known)
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, sa.Integer):
                column.type = sa.BigInteger()  # the rows hold what SQLite calls an integer
    engine = sa.create_engine(postgres.url())
    metadata.create_all(engine)
    engine.dispose()
    with postgres.server.connect(postgres.name) as connection:
        # Without the foreign keys, which are circular.
        connection.execute("SET session_replication_role TO replica")
        for name, filled in written.tables.items():
            types = [metadata.tables[name].c[column].type for column in filled.columns]
            into = sql.SQL("COPY {} ({}) FROM STDIN").format(
                sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, filled.columns))
            )
            with connection.cursor() as cursor, cursor.copy(into) as copy:
                for row in filled.rows:
                    copy.write_row([_cell(*pair) for pair in zip(row, types, strict=True)])
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader, {OWNER}")


def _cell(value: Any, type_: sa.types.TypeEngine[Any]) -> Any:
    if value is None:
        return None
    if isinstance(type_, sa.DateTime):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return bool(value) if isinstance(type_, sa.Boolean) else value
