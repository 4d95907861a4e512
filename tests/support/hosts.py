"""Hosts of every era, as far as opening a database goes: small packages that are put in place."""

from __future__ import annotations

import importlib
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from landscape_compat.landscape.history import shape_named
from support.host_eras import ERAS, Era
from support.legacy import Written, build_shape

__all__ = [
    "NEW",
    "OLD",
    "STAND_INS",
    "Place",
    "PutInPlace",
    "build_record",
    "places",
    "put_in_place",
    "url_of",
]

# The oldest and the newest shape there is.
OLD, NEW = "2026-01-14/75de5bfee", "2026-07-18/84d296d5b"

# What the newest host does not let be NULL, and nobody recorded in January 2026.
STAND_INS = {
    "checkpoints.upstream_topology_hash": "",
    "runs.openrouter_catalog_sha256": "",
    "runs.openrouter_catalog_source": "bundled",
}

_JOURNAL = "dump_to_jsonl=False, dump_to_jsonl_path=None"

# What the modules of a host say ------------------------------------------------------------------

_SCHEMA = """
from support import host_eras as hosts
metadata = hosts.declared_by(hosts.ERAS[{name!r}])
"""
_DATABASE = """
from elspeth.core.landscape.schema import metadata
from support import host_eras as hosts
ERA = hosts.ERAS[{name!r}]
calls = []
{extras}

class LandscapeDB:
    def __init__(self, connection_string{constructor}):
        hosts.construct(globals(), **locals())

    @classmethod
    def from_url(cls, url{factory}):
        return hosts.from_url(globals(), **locals())

    @classmethod
    def in_memory(cls):
        return hosts.in_memory(globals(), cls)

    engine = property(hosts.engine_of)
    connection = hosts.connection
    close = hosts.close
    __enter__ = lambda self: self
    __exit__ = lambda self, *error: self.close()
{methods}
"""
_VALIDATES = """
    def _validate_schema(self{kwargs}):
        hosts.validate(globals(), self)
"""
_PARTS = """
    @classmethod
    def _from_parts(cls, connection_string, engine, *, passphrase=None, journal=None,
                    require_existing_schema=False{read_only}):
        return hosts.assemble(**locals())

    read_only_connection = hosts.read_only_connection
"""
_READ_ONLY = """
    is_read_only = property(lambda self: self._read_only)
    write_connection = hosts.write_connection
"""
_FACTORY = """
from elspeth.core.landscape.database import ERA
from support import host_eras as hosts

class RecorderFactory:
    def __init__(self, db):
        hosts.require_pragmas(ERA, db)
        self.read = lambda table: hosts.read(ERA, db, table)
"""
_EXPORTER = """
from elspeth.core.landscape.factory import RecorderFactory

class LandscapeExporter:
    def __init__(self, db, signing_key=None):
        self._db, self._signing_key = db, signing_key

    def export_run(self, run_id, sign=False):
        for row in RecorderFactory(self._db).read("tokens"):
            record = {{"record_type": "token", **row}}
            if sign:
                record["signature"] = self.{sign}(record)
            yield record

    def {sign}(self, record):
        return f"{{self._signing_key}} vouches for {{len(record)}} fields"
"""
_PURGE = """
class PurgeManager:
    def __init__(self, db, payload_store):
        self._db, self._payload_store = db, payload_store

    def purge_payloads(self, refs):
        for ref in refs:
            (self._payload_store / ref).unlink()
        with self._db.connection() as connection:
            connection.exec_driver_sql("UPDATE runs SET reproducibility_grade = 'attributable'")
"""
_ORCHESTRATOR = """
class Orchestrator:
    def __init__(self, db, *, clock=None):
        self._db = db
"""
_CONTRACTS = """
import json
from dataclasses import dataclass
from hashlib import sha256

@dataclass(frozen=True)
class FieldAuditRecord:
    name: str
    {nullable}

@dataclass(frozen=True)
class ContractAuditRecord:
    fields: tuple
    version_hash: str

    @classmethod
    def from_json(cls, text):
        found = json.loads(text)
        names = FieldAuditRecord.__dataclass_fields__
        fields = tuple(FieldAuditRecord(**{{n: f[n] for n in names}}) for f in found["fields"])
        return cls(fields, found["version_hash"])

    def digest(self):
        words = json.dumps([vars(field) for field in self.fields], sort_keys=True)
        return sha256(words.encode()).hexdigest()[:{digits}]

    def to_schema_contract(self):
        if self.digest() != self.version_hash:
            raise ValueError(f"hash mismatch: {{self.version_hash}}, but got {{self.digest()}}")
        return self.fields
"""
_CLI = """
import sys
from pathlib import Path
from elspeth.core.landscape.database import LandscapeDB
from elspeth.core.landscape.factory import RecorderFactory
from elspeth.core.retention.purge import PurgeManager
from elspeth.engine.orchestrator import Orchestrator

def _open(url, **options):
    try:
        return LandscapeDB.from_url(url, **options)
    except Exception as error:
        print(f"Error connecting to database: {{error}}", file=sys.stderr)
        raise SystemExit(1) from error

def explain(url):
    with _open(url, {reads}) as db:
        print(len(list(RecorderFactory(db).read("tokens"))), "tokens")

def purge(url, folder):
    with _open(url, {purges}) as db:
        folder = Path(folder)
        PurgeManager(db, folder).purge_payloads([path.name for path in folder.iterdir()])

def _execute_pipeline(url):
    with _open(url) as db:
        Orchestrator(db)

def run(url):
    _execute_pipeline(url)

def resume(url):
    with _open(url, {reads}) as db:
        Orchestrator(db)

def join(url):
    resume(url)

def export_resume(url):
    resume(url)

def app():
    globals()[sys.argv[1]](*sys.argv[2:])
"""


def _sources(era: Era) -> dict[str, str]:
    """Write the modules of a host; what is there depends on the era."""
    journal = f", {_JOURNAL}" if era.journals else ""
    options = ", **engine_kwargs" if era.passes_on else ""
    passphrase = ", passphrase=None" if era.passphrase else ""
    constructor = f", *{passphrase}{journal}{options}" if era.journals else ""
    read_only = ", read_only=False" if era.read_only else ""
    factory = f", *{passphrase}, create_tables=True{read_only}{journal}{options}"
    methods, extras = "", []
    if era.validates:
        extras.append("class SchemaCompatibilityError(Exception): pass")
        methods += _VALIDATES.format(kwargs=", *, allowed=frozenset()" if era.migrates else "")
    if era.epoch:
        extras.append(f"SQLITE_SCHEMA_EPOCH = {era.epoch}")
    if era.parts:
        methods += _PARTS.format(read_only=read_only)
    if era.read_only:
        methods += _READ_ONLY
    if era.passes_on:
        extras.append("def probe_schema_shape(bind): return 'stale'")
    reads = "create_tables=False" if era.journals else ""
    nullable, digits = ("nullable: bool", 32) if era.passphrase else ("", 16)
    sign = "_vouch" if era.final else "_sign_record"
    return {
        "core/landscape/schema.py": _SCHEMA.format(name=era.name),
        "core/landscape/database.py": _DATABASE.format(
            name=era.name,
            constructor=constructor,
            factory=factory,
            methods=methods,
            extras="\n".join(extras),
        ),
        "core/landscape/factory.py": _FACTORY,
        "core/landscape/exporter.py": _EXPORTER.format(sign=sign),
        "core/landscape/__init__.py": "from elspeth.core.landscape.database import LandscapeDB\n",
        "contracts/contract_records.py": _CONTRACTS.format(nullable=nullable, digits=digits),
        "core/retention/purge.py": _PURGE,
        "engine/orchestrator.py": _ORCHESTRATOR,
        "cli.py": _CLI.format(reads=reads, purges=reads if era.parts else ""),
    }


# Putting a host in place -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PutInPlace:
    """A host that can be imported.

    Args:
        era: Its era.
        folder: What `sys.path` holds for it.
    """

    era: Era
    folder: Path

    def load(self, name: str = "core.landscape.database") -> Any:
        """Import one of its modules."""
        return importlib.import_module(f"elspeth.{name}")

    @property
    def db(self) -> Any:
        """Give its database class."""
        return self.load().LandscapeDB

    @property
    def writes(self) -> list[str]:
        """Name what it did that writes, or may."""
        return [call for call in self.load().calls if call != "validate"]

    def read(self, db: Any, table: str = "tokens") -> list[dict[str, Any]]:
        """Read a table as its readers do."""
        rows: list[dict[str, Any]]
        rows = self.load("core.landscape.factory").RecorderFactory(db).read(table)
        return rows

    def own(self, path: Path, *statements: str) -> str:
        """Let it make a database of its own, spoil that by statements, and give the URL."""
        path.parent.mkdir(exist_ok=True)
        self.db.from_url(url_of(path)).close()
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(";".join(statements))
        self.load().calls.clear()
        return url_of(path)


# Puts a host of an era in place.
Place: TypeAlias = Callable[[str], PutInPlace]


@contextmanager
def put_in_place(folder: Path, era: Era) -> Iterator[PutInPlace]:
    """Put a host where it can be imported, and take it away without a trace.

    Args:
        folder: Where to write it; made.
        era: Which.
    """
    for name, source in _sources(era).items():
        file = folder / "elspeth" / name
        for parent in (file.parent, *file.parent.parents):
            if parent == folder:
                break
            parent.mkdir(parents=True, exist_ok=True)
            (parent / "__init__.py").touch()
        file.write_text(source, encoding="utf-8")
    aside = _take_away()
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield PutInPlace(era, folder)
    finally:
        sys.path.remove(str(folder))
        _take_away()
        sys.modules.update(aside)
        for path in [path for path in sys.path_importer_cache if path.startswith(str(folder))]:
            del sys.path_importer_cache[path]


def _take_away() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] == "elspeth"]
    return {name: sys.modules.pop(name) for name in names}


@contextmanager
def places(folder: Path) -> Iterator[Place]:
    """Give what puts a host in place by the name of its era; the last put counts.

    Args:
        folder: Where to write them.
    """
    with ExitStack() as stack:

        def place(name: str) -> PutInPlace:
            number = len(list(folder.glob("host-*")))
            return stack.enter_context(put_in_place(folder / f"host-{number}-{name}", ERAS[name]))

        yield place


# Databases for them ------------------------------------------------------------------------------


def url_of(path: Path) -> str:
    """Name a file as the host does."""
    return f"sqlite:///{path}"


def build_record(folder: Path, shape: str, **options: Any) -> Written:
    """Build a small audit database in a folder of its own.

    Args:
        folder: Is made.
        shape: The name of its shape.
        options: What `build_shape` takes.
    """
    folder.mkdir()
    known = shape_named(shape)
    small = {"rows": 2, "runs": 4, "long_text": False}
    written = build_shape(folder / "audit.db", known.shape, **{**small, **options})
    if known.shape.table("elspeth_schema_identity"):
        with closing(sqlite3.connect(written.path)) as connection, connection:
            connection.execute(
                "UPDATE elspeth_schema_identity SET application_id = 'elspeth', "
                "store_kind = 'landscape', schema_epoch = ?",
                (known.epochs[0],),
            )
    return written
