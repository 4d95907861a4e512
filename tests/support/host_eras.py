"""What ELSPETH does when it opens an audit database, by era: its contract, not its code.

The small hosts that `support.hosts` puts in place call this. Every write is noted in the
`calls` of their database module.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Index,
    MetaData,
    create_engine,
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.pool import StaticPool

from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.metadata import metadata_of
from landscape_compat.schema.known import KnownShape

__all__ = [
    "ERAS",
    "AuditIntegrityError",
    "Era",
    "assemble",
    "close",
    "configure",
    "connection",
    "construct",
    "declared_by",
    "engine_of",
    "from_url",
    "in_memory",
    "read",
    "read_only_connection",
    "require_pragmas",
    "validate",
    "write_connection",
]


@dataclass(frozen=True, slots=True)
class Era:
    """One stretch of the host's history.

    Args:
        name: Its name.
        commit: The first or last commit of the shape that it declares.
        epoch: The epoch that it stamps; 0 before it stamped any.
        validates: Whether it checks the columns of the tables that exist.
        journals: Whether it can keep a journal of what it writes.
        passphrase: Whether it takes one, and refuses missing tables.
        parts: Whether instances are put together in one place.
        additive: Whether it adds some tables and indexes to an existing database.
        insists: Whether it verifies pragmas, also to read.
        read_only: Whether it can open read-only.
        passes_on: Whether it passes arguments on to the engine, and refuses foreign tables.
        identity: Whether it marks a database as its own.
        migrates: Whether it migrates in place when it opens for writing.
        final: Whether it is the newest.
    """

    name: str
    commit: str
    epoch: int = 0
    validates: bool = True
    journals: bool = True
    passphrase: bool = True
    parts: bool = True
    additive: bool = True
    insists: bool = True
    read_only: bool = True
    passes_on: bool = True
    identity: bool = True
    migrates: bool = False
    final: bool = False

    @property
    def known(self) -> KnownShape:
        """Give the shape that it declares."""
        return next(k for k in known_shapes() if self.commit in (k.first_commit, k.last_commit))


def _eras() -> Iterator[Era]:
    # What each brought, newest first: what came later is taken away step by step.
    lacks: dict[str, Any] = {}
    for name, commit, epoch, brought in (
        ("newest", "84d296d5b", 29, ()),
        ("july-16", "239062236", 25, ()),
        ("identity", "f1fc58c71", 24, ("identity",)),
        ("engine-options", "09cc47c23", 23, ("passes_on",)),
        ("read-only", "7d47a42db", 21, ("read_only",)),
        ("late-spring", "f13f418f8", 12, ("insists",)),
        ("additive", "22e4601d6", 7, ("additive",)),
        ("parts", "29df97209", 4, ("parts",)),
        ("epochs", "4f09fba88", 2, ()),
        ("passphrase", "427b07c18", 0, ("passphrase",)),
        ("rc2", "f4f348de1", 0, ("journals",)),
        ("january", "1f057c081", 0, ("validates",)),
        ("seed", "df2fa70fb", 0, ()),
    ):
        yield Era(name, commit, epoch, migrates=name == "july-16", final=name == "newest", **lacks)
        lacks |= dict.fromkeys(brought, False)


ERAS = {era.name: era for era in reversed(tuple(_eras()))}
_ADDITIVE = ("auth_events", "run_attributions")
_IDENTITY = "elspeth_schema_identity"


class AuditIntegrityError(Exception):
    """What the host raises when a pragma is not as it wants it."""


def declared_by(era: Era) -> MetaData:
    """Declare the tables of an era, with an index that its validation may look for."""
    metadata = metadata_of(era.known)
    Index("ix_tokens_created_at", metadata.tables["tokens"].c.created_at)
    return metadata


def construct(module: dict[str, Any], self: Any, connection_string: str, **given: Any) -> None:
    """Open as the constructor does: always writable, always making tables."""
    era: Era = module["ERA"]
    _settle(self, connection_string, None, given.get("passphrase"), existing=False)
    options = given.get("engine_kwargs", {})
    self._engine = create_engine(connection_string, echo=False, **options)
    configure(module, self._engine)
    _open(module, era, self, creating=True)


def from_url(module: dict[str, Any], cls: Any, url: str, **given: Any) -> Any:
    """Open as the factory does."""
    era: Era = module["ERA"]
    creating, read_only = given["create_tables"], given.get("read_only", False)
    if read_only and creating:
        raise ValueError("read_only=True requires create_tables=False")
    if given.get("passphrase") is not None:
        raise ImportError("sqlcipher3 is required")
    path = make_url(url).database
    engine_url = f"sqlite:///file:{path}?mode=ro&uri=true" if read_only else url
    engine = create_engine(engine_url, echo=False, **given.get("engine_kwargs", {}))
    if era.validates:  # at first, only the constructor set pragmas
        configure(module, engine, read_only=read_only)
    if era.parts:
        optional = {"read_only": read_only} if era.read_only else {}
        db = cls._from_parts(url, engine, require_existing_schema=not creating, **optional)
    else:
        db = cls.__new__(cls)
        _settle(db, url, engine, None, existing=not creating)
    _open(module, era, db, creating=creating)
    return db


def in_memory(module: dict[str, Any], cls: Any) -> Any:
    """Make one in memory, without validation."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    if module["ERA"].validates:
        configure(module, engine)
    db = cls.__new__(cls)
    _settle(db, "sqlite:///:memory:", engine, None, existing=False)
    module["metadata"].create_all(engine)
    module["calls"].append("in_memory")
    return db


def assemble(cls: Any, connection_string: str, engine: Engine, **given: Any) -> Any:
    """Put an instance together; the one place that knows every attribute."""
    db = cls.__new__(cls)
    _settle(
        db,
        connection_string,
        engine,
        given["passphrase"],
        existing=given["require_existing_schema"],
    )
    db._read_only = given.get("read_only", False)
    db.assembled = True
    return db


def _settle(db: Any, url: str, engine: Engine | None, passphrase: Any, *, existing: bool) -> None:
    db.connection_string, db._engine, db._passphrase = url, engine, passphrase
    db._require_existing_schema, db._read_only, db._journal = existing, False, None


def configure(module: dict[str, Any], engine: Engine, *, read_only: bool = False) -> None:
    """Set pragmas on every connection, one of which rewrites the header of an old file."""

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA query_only=ON" if read_only else "PRAGMA journal_mode=WAL")
        if not read_only:
            module["calls"].append("wal")
            cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()


def _open(module: dict[str, Any], era: Era, db: Any, *, creating: bool) -> None:
    try:
        _check_and_create(module, era, db, creating=creating)
    except BaseException:
        db.close()
        raise


def _check_and_create(module: dict[str, Any], era: Era, db: Any, *, creating: bool) -> None:
    calls = module["calls"]
    if era.insists and not db._read_only:
        with db.engine.connect() as connection:
            if connection.exec_driver_sql("PRAGMA journal_mode").scalar() != "wal":
                raise AuditIntegrityError("PRAGMA journal_mode")
    if era.migrates and not db._read_only and 23 <= _epoch(db) < era.epoch:
        _write(db, "ALTER TABLE tokens ADD COLUMN migrated TEXT")
        _write(db, f"PRAGMA user_version = {era.epoch}")
        calls.append("migrate")
    if era.validates:
        db._validate_schema()
    if creating:
        module["metadata"].create_all(db.engine)
        calls.append("create_all")
        if era.additive:
            _write(db, "CREATE INDEX IF NOT EXISTS ix_additive ON runs (started_at)")
        if era.identity and not _identities(db):
            row = f"(1, 'elspeth', 'landscape', {era.epoch})"
            _write(
                db,
                f"INSERT INTO {_IDENTITY} (singleton_id, application_id, store_kind, schema_epoch) "
                f"VALUES {row}",
            )
            calls.append("identity")
        if era.epoch:
            _write(db, f"PRAGMA user_version = {era.epoch}")
            calls.append("stamp")


def validate(module: dict[str, Any], db: Any) -> None:
    """Refuse what the era refuses, in words of the same kind."""
    era: Era = module["ERA"]
    refusal = module["SchemaCompatibilityError"]
    module["calls"].append("validate")
    inspector = inspect(db.engine)
    names, declared = set(inspector.get_table_names()), module["metadata"].tables
    if not names & declared.keys():
        if era.passphrase and db._require_existing_schema:
            raise refusal("Database does not contain any Landscape tables.")
        return
    problems = [
        f"Missing column: {name}.{column.name}"
        for name in sorted(names & declared.keys())
        for column in declared[name].columns
        if column.name not in {c["name"] for c in inspector.get_columns(name)}
    ]
    if era.passphrase:
        lenient = era.additive and not (era.final and db._require_existing_schema)
        missing = declared.keys() - names - set(_ADDITIVE if lenient else ())
        problems += [f"Missing table: {name}" for name in sorted(missing)]
    if era.epoch:
        found = {index["name"] for index in inspector.get_indexes("tokens")}
        problems += ["Missing index"] if "ix_tokens_created_at" not in found else []
        if _epoch(db) not in (0, era.epoch):
            problems.append("schema epoch is incompatible")
    if era.passes_on and names - declared.keys():
        raise refusal(f"Landscape database contains foreign tables: {names - declared.keys()}")
    if era.identity and _IDENTITY in names:
        expected = [("elspeth", "landscape", era.epoch)]
        problems += ["schema identity is incompatible"] if _identities(db) != expected else []
    if problems:
        lines = "\n".join(problems)
        raise refusal(
            f"Landscape database schema is outdated.\n\n{lines}\n\nDelete the database and let "
            f"it be recreated.\n\nDatabase: {db.connection_string}"
        )


def _epoch(db: Any) -> int:
    with db.engine.connect() as connection:
        return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def _identities(db: Any) -> list[tuple[Any, ...]]:
    sql = f"SELECT application_id, store_kind, schema_epoch FROM {_IDENTITY}"
    with db.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]


def _write(db: Any, sql: str) -> None:
    with db.engine.begin() as connection:
        connection.exec_driver_sql(sql)


def engine_of(db: Any) -> Engine:
    """Give the engine, unless it was closed."""
    if db._engine is None:
        raise RuntimeError("Database is closed")
    engine: Engine = db._engine
    return engine


@contextmanager
def connection(db: Any) -> Iterator[Connection]:
    """Begin, and commit at the end."""
    with db.engine.begin() as opened:
        yield opened


@contextmanager
def read_only_connection(db: Any) -> Iterator[Connection]:
    """Begin with writing switched off, and switch it on again at the end."""
    with db.engine.begin() as opened:
        opened.execute(text("PRAGMA query_only = ON"))
        try:
            yield opened
        finally:
            if not db._read_only:
                opened.execute(text("PRAGMA query_only = OFF"))


@contextmanager
def write_connection(db: Any) -> Iterator[Connection]:
    """Begin to write, which a handle opened for reading must not."""
    if db._read_only:
        raise RuntimeError("write_connection() is not available on a read-only handle")
    with db.engine.begin() as opened:
        yield opened


def close(db: Any) -> None:
    """Let go of the engine."""
    if db._engine is not None:
        db._engine.dispose()
        db._engine = None


def require_pragmas(era: Era, db: Any) -> None:
    """Insist on what a scheduler needs, unless the handle says that it only reads."""
    if not era.insists or (era.read_only and db.is_read_only):
        return
    with db.engine.connect() as opened:
        for pragma, wanted in (("foreign_keys", (1,)), ("journal_mode", ("wal", "memory"))):
            found = opened.exec_driver_sql(f"PRAGMA {pragma}").scalar()
            if found not in wanted:
                raise AuditIntegrityError(f"PRAGMA {pragma} is {found!r}")


def read(era: Era, db: Any, table: str) -> list[dict[str, Any]]:
    """Read a whole table as the era's readers do."""
    declared = importlib.import_module("elspeth.core.landscape.schema").metadata.tables[table]
    manner = db.read_only_connection if era.parts else db.connection
    with manner() as opened:
        if era.passes_on and db.is_read_only:
            opened.exec_driver_sql("BEGIN")  # such a handle is taken for idle
        statement = declared.select().order_by(*declared.primary_key)
        return [dict(row) for row in opened.execute(statement).mappings()]
