"""Installing the shim in the host: each LandscapeDB made from now on reads any Landscape."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Literal, TypeAlias, TypeVar

from sqlalchemy import URL, Engine

from landscape_compat.engine.attach import attach, attachment_of
from landscape_compat.errors import AttachError, LandscapeCompatError, WriteRefusedError
from landscape_compat.landscape.contracts import read_contract
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.host import (
    CONTRACTS_MODULE,
    DATABASE_MODULE,
    EXPORTER_MODULE,
    ORCHESTRATOR_MODULES,
    PURGE_MODULE,
    Host,
    find_host,
    host_of,
    writing_command,
)
from landscape_compat.landscape.patches import Patches
from landscape_compat.landscape.refusals import REMEDY, in_family, refusal
from landscape_compat.landscape.rescue import (
    answer_for,
    examine,
    furnish,
    open_degraded,
)
from landscape_compat.landscape.rules import landscape_rules
from landscape_compat.projection.plan import Plan

__all__ = ["Migrator", "Posture", "install", "uninstall", "wrap"]

Posture: TypeAlias = Literal["degrade", "refuse", "migrate"]
# Brings a database forward, if it is still wanted when nobody else is at it.
Migrator: TypeAlias = Callable[[str | URL, Callable[[], bool]], None]

# Any class: which one is the host's own is known only where the host is installed.
DatabaseT = TypeVar("DatabaseT", bound=Any)


def install(*, posture: Posture = "degrade", migrator: Migrator | None = None) -> None:
    """Let every `LandscapeDB` made from now on read any Landscape.

    A database that the host reads by itself is opened by the host as ever. One that it could
    not read is opened read-only and read through projections. Works before or after the host
    is imported; installing again with the same posture does nothing.

    Args:
        posture: What a degraded database gets: `degrade` opens it read-only and refuses to
            write, `refuse` raises when it is opened, `migrate` brings it forward when it is
            opened for writing, and else does as `degrade`.
        migrator: What brings it forward.

    Raises:
        AttachError: It is installed with another posture, or the host is of no known version.
    """
    if posture not in ("degrade", "refuse", "migrate"):
        raise AttachError(f"There is no posture {posture!r}; use 'degrade', 'refuse' or 'migrate'.")
    _INSTALLATION.take(posture, migrator)
    try:
        _INSTALLATION.patches.apply()
    except BaseException:
        uninstall()
        raise


def uninstall() -> None:
    """Put the host back as it was. Databases that are open stay as they are."""
    _INSTALLATION.posture = None
    _INSTALLATION.patches.undo()


def wrap(db: DatabaseT) -> DatabaseT:
    """Let one `LandscapeDB` that is open already read what its code declares.

    Args:
        db: The database; its engine is attached, and its pooled connections are renewed.

    Returns:
        The same object.

    Raises:
        AttachError: It is of no known host, or its engine cannot be attached to.
    """
    host = host_of(db)
    if attachment_of(db.engine) is None:
        attachment = attach(db.engine, host.metadata, rules=landscape_rules(), known=known_shapes)
        with db.engine.connect():
            pass  # a database that cannot be read is to be known now
        if _is_degraded(db):
            answer_for(attachment)
            # Builds since June 2026 then leave out what writes, and would check that it can.
            db._read_only = True
    return db


class _Installation:
    """Whether the shim is installed, and how; there is one a process."""

    def __init__(self) -> None:
        self.posture: Posture | None = None
        self.migrator: Migrator | None = None
        self.patches = Patches(_PREPARATIONS)
        self._lock = threading.Lock()

    def take(self, posture: Posture, migrator: Migrator | None) -> None:
        """Take a posture, or find that another is taken."""
        with self._lock:
            if self.posture not in (None, posture):
                raise AttachError(
                    f"The shim is installed with the posture {self.posture!r}.",
                    remedy="Call uninstall() first.",
                )
            self.posture, self.migrator = posture, migrator


# What is wrapped --------------------------------------------------------------------------------


def _prepare_database(module: ModuleType) -> None:
    host = find_host(module)

    def from_url(wrapped: Any, kind: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        asked = _asked(wrapped, args, options)
        engine = None if asked is None else _rescue(host, kind, asked)
        if asked is None or engine is None:
            return wrapped(*args, **options)
        instance = kind.__new__(kind)
        furnish(instance, asked.url, engine)
        return instance

    def initialise(
        wrapped: Any, instance: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        asked = _asked(wrapped, args, options)
        engine = None if asked is None else _rescue(host, type(instance), asked)
        if asked is None or engine is None:
            wrapped(*args, **options)
        else:
            furnish(instance, asked.url, engine)

    _INSTALLATION.patches.replace(host.database_class, "from_url", from_url)
    _INSTALLATION.patches.replace(host.database_class, "__init__", initialise)


def _prepare_exporter(module: ModuleType) -> None:
    exporter = vars(module).get("LandscapeExporter")
    if not isinstance(exporter, type):
        return

    def export(wrapped: Any, instance: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if _argument(wrapped, args, options, "sign"):
            _refuse_signing(instance)
        return wrapped(*args, **options)

    def sign(wrapped: Any, instance: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        _refuse_signing(instance)
        return wrapped(*args, **options)

    for name, method in tuple(vars(exporter).items()):
        if name == "_sign_record":
            _INSTALLATION.patches.replace(exporter, name, sign)
        elif inspect.isfunction(method) and "sign" in inspect.signature(method).parameters:
            _INSTALLATION.patches.replace(exporter, name, export)


def _prepare_contracts(module: ModuleType) -> None:
    record = vars(module).get("ContractAuditRecord")
    if isinstance(record, type) and "from_json" in vars(record):
        read = partial(read_contract, field_kind=vars(module).get("FieldAuditRecord"))
        _INSTALLATION.patches.replace(record, "from_json", read)


def _prepare_writer(
    class_name: str, method: str, find: Callable[..., Any], doing: str, module: ModuleType
) -> None:
    """Stop what destroys or records something elsewhere before it writes to the database."""
    writer = vars(module).get(class_name)
    if not isinstance(writer, type) or method not in vars(writer):
        return

    def write(wrapped: Any, instance: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        db = find(wrapped, instance, args, options)
        if _is_degraded(db) or (getattr(db, "_read_only", False) and _plan_of(db)):
            raise WriteRefusedError(
                f"{doing} was refused: the audit database was made by another version and is "
                "open read-only, so it could not be recorded. Nothing was changed anywhere.",
                remedy=REMEDY,
            )
        return wrapped(*args, **options)

    _INSTALLATION.patches.replace(writer, method, write)


def _kept_db(wrapped: Any, instance: Any, args: Any, options: Any) -> Any:
    return getattr(instance, "_db", None)


def _given_db(wrapped: Any, instance: Any, args: Any, options: Any) -> Any:
    return _argument(wrapped, args, options, "db")


_PREPARATIONS: dict[str, Callable[[ModuleType], None]] = {
    DATABASE_MODULE: _prepare_database,
    EXPORTER_MODULE: _prepare_exporter,
    CONTRACTS_MODULE: _prepare_contracts,
    PURGE_MODULE: partial(
        _prepare_writer, "PurgeManager", "purge_payloads", _kept_db, "Deleting payloads"
    ),
    **dict.fromkeys(
        ORCHESTRATOR_MODULES,
        partial(_prepare_writer, "Orchestrator", "__init__", _given_db, "Running a pipeline"),
    ),
}
_INSTALLATION = _Installation()


# What happens then ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the host was asked to open, and what for.

    Args:
        url: The database.
        creates: Whether it would create tables.
        journals: Whether it would keep a journal of what is written.
        options: What it would pass on to `create_engine`.
    """

    url: str | URL
    creates: bool
    journals: bool
    options: dict[str, Any]


def _asked(wrapped: Any, args: tuple[Any, ...], options: dict[str, Any]) -> _Asked | None:
    """Read the arguments of a call; None if the host is to see to it alone."""
    if _INSTALLATION.posture is None:
        return None
    try:
        bound = inspect.signature(wrapped).bind(*args, **options)
    except TypeError:
        return None  # the host says how it is to be called
    bound.apply_defaults()
    given = bound.arguments
    url = next(iter(given.values()), None)
    if not isinstance(url, (str, URL)) or given.get("passphrase") is not None:
        return None
    creates, journals = given.get("create_tables", True), given.get("dump_to_jsonl", False)
    if given.get("read_only", False) and (creates or journals or "file:" in str(url)):
        return None  # the host refuses these together, before it opens anything
    passed_on = next(
        (p.name for p in bound.signature.parameters.values() if p.kind is p.VAR_KEYWORD), ""
    )
    return _Asked(url, bool(creates), bool(journals), dict(given.get(passed_on, {})))


def _argument(wrapped: Any, args: Any, options: Any, name: str) -> Any:
    try:
        return inspect.signature(wrapped).bind(*args, **options).arguments.get(name)
    except TypeError:
        return None


def _rescue(host: Host, kind: type[Any], asked: _Asked) -> Engine | None:
    """Give the engine by which the host reads a database that it needs help with."""
    try:
        finding = examine(host, kind, asked.url, asked.options, creating=asked.creates)
        if finding is None:
            return None
        command = writing_command()
        writes = bool(command or asked.journals or (asked.creates and host.reads_without_creating))
        if finding.lets_the_host_write(creating=asked.creates) and (
            writes or (asked.creates and not finding.shifts_values)
        ):
            return None  # what works without the shim works the same with it
        if writes and _INSTALLATION.posture == "migrate" and _INSTALLATION.migrator:

            def wanted() -> bool:
                found = examine(host, kind, asked.url, asked.options, creating=asked.creates)
                return found is not None

            _INSTALLATION.migrator(asked.url, wanted)
            writes = wanted()
            if not writes:
                return None  # it is the host's own by now
        if _INSTALLATION.posture == "refuse" or writes:
            raise refusal(finding, _INSTALLATION.posture, command)
        return open_degraded(host, asked.url, asked.options)
    except LandscapeCompatError as error:
        raise in_family(error, host.refusal) from error.__cause__


def _plan_of(db: Any) -> Plan | None:
    """Give the plan by which a database of the host is read; None if the shim is not on it."""
    engine = vars(db).get("_engine") if hasattr(db, "__dict__") else None
    attachment = attachment_of(engine) if isinstance(engine, Engine) else None
    try:
        return None if attachment is None else attachment.plan()
    except AttachError:
        return None  # in memory, and left alone


def _is_degraded(db: Any) -> bool:
    plan = _plan_of(db)
    return plan is not None and plan.is_degraded


def _refuse_signing(exporter: Any) -> None:
    if _is_degraded(getattr(exporter, "_db", None)):
        raise WriteRefusedError(
            "A signed export was refused: some of its values are not stored in this database "
            "but derived or mapped, and a signature would vouch for them.",
            remedy="Export without signing, or use `landscape-compat export`, which gives what "
            "is stored.",
        )
