"""Installing the shim in the host: each LandscapeDB made from now on reads any Landscape."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from landscape_compat.errors import AttachError
from landscape_compat.landscape.host import (
    CONTRACTS_MODULE,
    DATABASE_MODULE,
    EXPORTER_MODULE,
    ORCHESTRATOR_MODULES,
    PURGE_MODULE,
    Host,
    find_host,
)
from landscape_compat.landscape.patches import Patches, argument

if TYPE_CHECKING:
    from landscape_compat.landscape.forward import Migrator

__all__ = ["Posture", "install", "uninstall", "wrap"]

Posture: TypeAlias = Literal["degrade", "refuse", "migrate"]

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
    from landscape_compat.landscape.opened import attach_to

    attach_to(db)
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

    def furnisher(
        self, host: Host, kind: type[Any], wrapped: Any, args: Any, options: Any
    ) -> Callable[[Any], None] | None:
        """Give what makes a database of the host's that it needs help with, or leave it to it."""
        if self.posture is None:
            return None
        # Not before the host opens a database: it is most of this library.
        from landscape_compat.landscape.opened import furnisher

        return furnisher(
            host, kind, wrapped, args, options, posture=self.posture, migrator=self.migrator
        )


# What is wrapped --------------------------------------------------------------------------------


def _prepare_database(module: ModuleType) -> None:
    host = find_host(module)

    def from_url(wrapped: Any, kind: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        furnish = _INSTALLATION.furnisher(host, kind, wrapped, args, options)
        if furnish is None:
            return wrapped(*args, **options)
        instance = kind.__new__(kind)
        furnish(instance)
        return instance

    def initialise(
        wrapped: Any, instance: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        furnish = _INSTALLATION.furnisher(host, type(instance), wrapped, args, options)
        if furnish is None:
            wrapped(*args, **options)
        else:
            furnish(instance)

    _INSTALLATION.patches.replace(host.database_class, "from_url", from_url)
    _INSTALLATION.patches.replace(host.database_class, "__init__", initialise)


def _prepare_exporter(module: ModuleType) -> None:
    exporter = vars(module).get("LandscapeExporter")
    if not isinstance(exporter, type):
        return

    def export(wrapped: Any, instance: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if argument(wrapped, args, options, "sign"):
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


def _refuse_signing(exporter: Any) -> None:
    from landscape_compat.landscape.opened import refuse_signing

    refuse_signing(exporter)


def _prepare_contracts(module: ModuleType) -> None:
    record = vars(module).get("ContractAuditRecord")
    if isinstance(record, type) and "from_json" in vars(record):
        field_kind = vars(module).get("FieldAuditRecord")

        def read(wrapped: Any, kind: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
            from landscape_compat.landscape.contracts import read_contract

            return read_contract(wrapped, kind, args, options, field_kind=field_kind)

        _INSTALLATION.patches.replace(record, "from_json", read)


def _prepare_writer(
    class_name: str, method: str, find: Callable[..., Any], doing: str, module: ModuleType
) -> None:
    """Stop what destroys or records something elsewhere before it writes to the database."""
    writer = vars(module).get(class_name)
    if not isinstance(writer, type) or method not in vars(writer):
        return

    def write(wrapped: Any, instance: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        from landscape_compat.landscape.opened import refuse_recording

        refuse_recording(find(wrapped, instance, args, options), doing)
        return wrapped(*args, **options)

    _INSTALLATION.patches.replace(writer, method, write)


def _kept_db(wrapped: Any, instance: Any, args: Any, options: Any) -> Any:
    return getattr(instance, "_db", None)


def _given_db(wrapped: Any, instance: Any, args: Any, options: Any) -> Any:
    return argument(wrapped, args, options, "db")


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
