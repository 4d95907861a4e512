"""Migrating to a server: all in one transaction, and read again before it ends."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import rfc8785
from sqlalchemy import (
    URL,
    Boolean,
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    inspect,
    select,
)
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import AddConstraint, CreateTable

from landscape_compat.engine.encryption import make_engine
from landscape_compat.errors import (
    LandscapeCompatError,
    OutputError,
    ProofFailedError,
    RowsRefusedError,
    count_of,
    printable,
)
from landscape_compat.export.output.placing import folder_beside
from landscape_compat.export.output.private import private_folder
from landscape_compat.migrate.forms import filed, served, server_type
from landscape_compat.migrate.making import (
    Made,
    Migration,
    Wanted,
    copy_and_prove,
    told_of,
)
from landscape_compat.migrate.placing import put_in_place
from landscape_compat.migrate.proof import require_own_proof, row_bytes, statement
from landscape_compat.schema.catalogue.sqlite import read_stored
from landscape_compat.schema.shape import ColumnShape, TableShape, quote_name
from landscape_compat.schema.types import type_class

__all__ = ["digest_as_served", "digest_on_server", "migrate_to_server"]

_BATCH = 500


def migrate_to_server(
    url: URL,
    source: Path | None,
    new: URL,
    wanted: Wanted,
    proof: str | os.PathLike[str] | None,
) -> Migration:
    """Migrate a database into an empty one on a server.

    It is first migrated into a private file, with all that is checked and proven there, and then
    loaded from that file, so that the server is asked for one transaction only. A process that
    is killed leaves nothing on the server.

    Args:
        url: The old database.
        source: Its file; None if it is on a server.
        new: The new database, which has none of the tables.
        wanted: How.
        proof: Where the statement goes.

    Raises:
        OutputError: It has some of the tables, or cannot be written to.
        RowsRefusedError: The server has no place for values; names their rows.
        ProofFailedError: The two do not hold the same. Nothing is kept.
        LandscapeCompatError: What `migrate_database` raises.
    """
    if new.get_backend_name() != "postgresql":
        raise LandscapeCompatError(
            f"A new database cannot be made on {new.get_backend_name()}.",
            remedy="Give a file, or the URL of a database on PostgreSQL.",
        )
    if wanted.host:
        raise LandscapeCompatError(
            "The host can be asked to make the empty database in a file only.",
            remedy="Name its shape by --to.",
        )
    if proof is None:
        raise LandscapeCompatError(
            "Where the proof is to go was not said; beside a server there is no place for it.",
            remedy="Name a file by --proof.",
        )
    final = Path(proof).absolute()
    require_own_proof(final, printable(new))
    with private_folder() as folder:
        path = folder / "new.db"
        with told_of(path):
            made = copy_and_prove(url, source, path, wanted)
        engine = make_engine(new, poolclass=NullPool)
        try:
            with engine.begin() as connection, closing(sqlite3.connect(path)) as file:
                tables = _Load(connection, file, made).run()
                _state(new, made, tables, final)
        except DBAPIError as error:
            raise OutputError(
                f"{printable(new)} could not be written to: {printable(error.orig)}.",
                remedy="Check that it exists, that you may create tables there, and its room.",
            ) from error
        finally:
            engine.dispose()
    return Migration(path=new, proof=final, target=made.target.name, done=made.done)


def _state(new: URL, made: Made, tables: list[dict[str, Any]], final: Path) -> None:
    """Put the statement in its place, which comes before the database is there, as a file's."""
    digest = sha256(rfc8785.dumps(tables)).hexdigest()
    told = statement(printable(new), digest, {**made.predicate, "server": tables})
    with told_of(final), folder_beside(final) as folder:
        written = folder / final.name
        written.write_bytes(told)
        put_in_place(written, final, replace=True)


@dataclass(slots=True)
class _Load:
    """The loading of a file into a server, in one transaction."""

    new: Connection
    file: sqlite3.Connection
    made: Made

    def run(self) -> list[dict[str, Any]]:
        metadata = MetaData()
        for declared in self.made.target.metadata.tables.values():
            declared.to_metadata(metadata)
        tables = [
            (shape, _table(shape, metadata)) for shape in read_stored(self.file) if shape.columns
        ]
        taken = set(inspect(self.new).get_table_names()) & {table.name for _, table in tables}
        if taken:
            raise OutputError(
                f"{printable(self.new.engine.url)} has {printable(', '.join(sorted(taken)))} "
                "already, and was left as it is.",
                remedy="Give an empty database.",
            )
        refused = list[str]()
        for shape, table in tables:
            # Who refers to whom is said last: tables refer to each other in circles.
            self.new.execute(CreateTable(table, include_foreign_key_constraints=[]))
            refused += self._fill(shape, table)
        if refused:
            raise RowsRefusedError(
                f"The server has no place for {count_of(len(refused), 'row')}, so nothing was "
                "kept.",
                rows=tuple(map(printable, refused)),
                remedy="Migrate into a file, which takes them.",
            )
        for _, table in tables:
            for constraint in table.foreign_key_constraints:
                self.new.execute(AddConstraint(constraint))
        return [self._prove(shape, table) for shape, table in tables]

    def _fill(self, shape: TableShape, table: Table) -> Iterator[str]:
        classes = [_class(table.c[name]) for name in shape.column_names]
        rows = _rows(self.file, shape)
        while batch := list(islice(rows, _BATCH)):
            good = []
            for row in batch:
                try:
                    values = [served(*pair) for pair in zip(row, classes, strict=True)]
                    good.append(dict(zip(shape.column_names, values, strict=True)))
                except ValueError as error:
                    yield f"{_named(shape, row)}: {error}"
            if good:
                yield from self._insert(shape, table, good)

    def _insert(self, shape: TableShape, table: Table, rows: list[dict[str, Any]]) -> Iterator[str]:
        try:
            with self.new.begin_nested():
                self.new.execute(table.insert(), rows)
        except (DataError, IntegrityError):
            for row in rows:
                try:
                    with self.new.begin_nested():
                        self.new.execute(table.insert(), row)
                except (DataError, IntegrityError) as error:
                    what = str(error.orig).strip().splitlines()[0]
                    yield f"{_named(shape, tuple(row.values()))}: {what}"

    def _prove(self, shape: TableShape, table: Table) -> dict[str, Any]:
        names, key = shape.column_names, _key(shape)
        found, digest, count = _rows_on_server(self.new, table, names, key), sha256(), 0
        for old in _rows(self.file, shape):
            wanted = _as_served(old, table, names)
            if next(found, None) != wanted:
                raise _differs(shape, old)
            digest.update(wanted)
            count += 1
        if next(found, None) is not None:
            raise _differs(shape, ())
        return {
            "table": printable(shape.name),
            "columns": [printable(name) for name in names],
            "key": [printable(name) for name in key],
            "rows": count,
            "sha256": digest.hexdigest(),
        }


def _rows(file: sqlite3.Connection, shape: TableShape) -> Iterator[tuple[Any, ...]]:
    names = ", ".join(map(quote_name, shape.column_names))
    order = ", ".join(map(quote_name, _key(shape)))
    yield from file.execute(f"SELECT {names} FROM {quote_name(shape.name)} ORDER BY {order}")


def _as_served(row: Sequence[Any], table: Table, names: Sequence[str]) -> bytes:
    pairs = zip(row, names, strict=True)
    return row_bytes([filed(served(value, _class(table.c[name]))) for value, name in pairs])


def _rows_on_server(
    connection: Connection, table: Table, names: Sequence[str], key: Sequence[str]
) -> Iterator[bytes]:
    keys = [table.c[name] for name in key]
    order = [(k.collate("C") if _class(k) == "text" else k).nulls_first() for k in keys]
    statement = select(*(table.c[name] for name in names)).order_by(*order)
    options = {"stream_results": True, "max_row_buffer": _BATCH}
    with connection.execute(statement, execution_options=options) as found:
        for row in found:
            yield row_bytes([filed(value) for value in row])


def digest_on_server(
    connection: Connection, table: Table, names: Sequence[str], key: Sequence[str]
) -> tuple[int, str]:
    """Digest a table on a server as the proof of a migration to it does.

    Args:
        connection: The server.
        table: The table, as it is there.
        names: Its columns, in the order of the proof.
        key: Those that say in which order its rows come.

    Returns:
        The number of its rows, and their digest.

    Raises:
        KeyError: It has no such column.
    """
    return _digest(_rows_on_server(connection, table, names, key))


def digest_as_served(file: sqlite3.Connection, shape: TableShape, table: Table) -> tuple[int, str]:
    """Digest a table of a file as it would be on a server.

    Args:
        file: The file.
        shape: The table there.
        table: The table on the server.

    Raises:
        KeyError: The server's has no such column.
        ValueError: The server has no place for a value.
    """
    names = shape.column_names
    return _digest(_as_served(row, table, names) for row in _rows(file, shape))


def _digest(rows: Iterable[bytes]) -> tuple[int, str]:
    digest, count = sha256(), 0
    for row in rows:
        digest.update(row)
        count += 1
    return count, digest.hexdigest()


def _table(shape: TableShape, metadata: MetaData) -> Table:
    """Declare a table of the file for the server, with the constraints that it has there."""
    table = metadata.tables.get(shape.name)
    if table is None:
        return Table(shape.name, metadata, *map(_column, shape.columns))
    for column in shape.columns:
        if column.name not in table.c:
            table.append_column(_column(column))
        elif column.nullable:
            table.c[column.name].nullable = True
    return table


def _column(shape: ColumnShape) -> Column[Any]:
    type_ = server_type(type_class(shape.type, "postgresql"))
    return Column(shape.name, type_, primary_key=shape.primary_key, autoincrement=False)


def _class(column: Column[Any]) -> str:
    match column.type:
        case Boolean():
            return "boolean"
        case DateTime():
            return "timestamp"
        case Integer():
            return "integer"
        case Float():
            return "number"
        case LargeBinary():
            return "bytes"
    return "text"


def _key(shape: TableShape) -> list[str]:
    keys = [column.name for column in shape.columns if column.primary_key]
    return keys or list(shape.column_names)


def _named(shape: TableShape, row: tuple[Any, ...]) -> str:
    named = dict(zip(shape.column_names, row, strict=True))
    return f"{shape.name} ({', '.join(f'{name}={named[name]!r}' for name in _key(shape))})"


def _differs(shape: TableShape, row: tuple[Any, ...]) -> ProofFailedError:
    where = f"at {_named(shape, row)}" if row else "by a row too many"
    return ProofFailedError(
        f"The server does not give back what was written to it: {printable(where)}. Nothing was "
        "kept.",
        table=printable(shape.name),
        remedy="Report this with the server's version and its encoding.",
    )
