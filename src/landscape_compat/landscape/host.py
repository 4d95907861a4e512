"""What is found of the host, ELSPETH: its classes and tables differ from era to era."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, field
from types import FrameType, ModuleType
from typing import Any

from sqlalchemy import MetaData

from landscape_compat.errors import AttachError

__all__ = [
    "CONTRACTS_MODULE",
    "DATABASE_MODULE",
    "EXPORTER_MODULE",
    "ORCHESTRATOR_MODULES",
    "PURGE_MODULE",
    "Host",
    "find_host",
    "host_of",
    "writing_command",
]

DATABASE_MODULE = "elspeth.core.landscape.database"
EXPORTER_MODULE = "elspeth.core.landscape.exporter"
# Since 2026-02-03.
CONTRACTS_MODULE = "elspeth.contracts.contract_records"
PURGE_MODULE = "elspeth.core.retention.purge"
# A module at first, a package since 2026-02-02.
ORCHESTRATOR_MODULES = ("elspeth.engine.orchestrator", "elspeth.engine.orchestrator.core")
_COMMANDS_MODULE = "elspeth.cli"

# The functions behind the host's commands that write. `purge` deletes payload files before it
# opens a transaction, through the same call as `explain`, which only reads.
_WRITING = frozenset(
    (
        *("run", "resume", "join", "export_resume", "purge", "bootstrap_and_run"),
        *("_execute_pipeline", "_execute_pipeline_with_instances"),
    )
)


@dataclass(frozen=True, slots=True)
class Host:
    """One version of the host, as far as opening a database depends on it.

    Args:
        database_class: Its `LandscapeDB`.
        metadata: The tables it declares.
        refusal: The error by which it refuses a database; None before it had one.
        epoch: The epoch it stamps; None before it stamped any.
        reads_without_creating: Whether its readers say `create_tables=False`, so that whoever
            does not say so means to write.
        refuses_foreign_tables: Whether it refuses a database with tables it does not know.
        passed: What its validation let pass, so that it is not asked twice in a process.
    """

    database_class: type[Any]
    metadata: MetaData
    refusal: type[Exception] | None
    epoch: int | None
    reads_without_creating: bool
    refuses_foreign_tables: bool
    passed: set[object] = field(default_factory=set, compare=False)


def find_host(module: ModuleType) -> Host:
    """Find out about the host from its database module.

    Args:
        module: The module, imported.

    Raises:
        AttachError: It is not as any known version of the host is.
    """
    # Never by attribute: a module may import more of itself when asked for a name.
    names = vars(module)
    schema = sys.modules.get(f"{module.__name__.rpartition('.')[0]}.schema")
    declared = vars(schema) if schema is not None else {}
    found, metadata = names.get("LandscapeDB"), names.get("metadata", declared.get("metadata"))
    strange = _strangeness(found, metadata)
    if strange or found is None or metadata is None:
        raise AttachError(
            f"{module.__name__} is no version of ELSPETH that is known here: {strange}. Nothing "
            "was wrapped, and it behaves as if this library were not there.",
            remedy="Use `landscape-compat export`, which needs no host, and report the version.",
        )
    # `dump_to_jsonl` came a day before the first command that only reads.
    parameters = inspect.signature(found.from_url).parameters
    return Host(
        database_class=found,
        metadata=metadata,
        refusal=names.get("SchemaCompatibilityError"),
        epoch=names.get("SQLITE_SCHEMA_EPOCH", declared.get("SQLITE_SCHEMA_EPOCH")),
        reads_without_creating="dump_to_jsonl" in parameters,
        refuses_foreign_tables="probe_schema_shape" in names,
    )


def host_of(db: object) -> Host:
    """Find out about the host that a database object belongs to.

    Args:
        db: A `LandscapeDB`, or an instance of a subclass.

    Raises:
        AttachError: It is none, or its host is of no known version.
    """
    for kind in type(db).__mro__:
        module = sys.modules.get(kind.__module__)
        if module is not None and vars(module).get("LandscapeDB") is kind:
            return find_host(module)
    raise AttachError(
        f"{type(db).__name__} is no LandscapeDB, so which tables it declares is not known.",
        remedy="Attach its engine, with the tables that its program declares.",
    )


def writing_command() -> str | None:
    """Name the host's command that is running in this thread, if it is one that writes."""
    frame: FrameType | None = sys._getframe(1)
    found = None
    while frame is not None:
        name = frame.f_code.co_name
        if name in _WRITING and _module_of(frame.f_globals).startswith(_COMMANDS_MODULE):
            found = name
        frame = frame.f_back
    return found.strip("_") if found else None


def _module_of(names: dict[str, Any]) -> str:
    module = str(names.get("__name__", ""))
    if module == "__main__":  # run by `python -m`
        module = getattr(names.get("__spec__"), "name", None) or ""
    return module


def _strangeness(database_class: Any, metadata: Any) -> str:
    """Say what keeps a class from being wrapped; "" if nothing does."""
    if not isinstance(database_class, type):
        return "it has no class LandscapeDB"
    if not isinstance(vars(database_class).get("from_url"), classmethod):
        return "its LandscapeDB has no class method from_url() of its own"
    if "__init__" not in vars(database_class) or not database_class.__dictoffset__:
        return "its LandscapeDB has no constructor of its own, or no place for attributes"
    if not isinstance(metadata, MetaData):
        return "it declares no tables"
    return ""
