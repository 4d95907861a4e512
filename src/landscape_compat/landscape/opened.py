"""What a database of the host's becomes when it is opened: left to the host, rescued, or refused.

All of it is imported when the host opens its first database, and not when the shim is installed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import URL, Engine

from landscape_compat.engine.attach import attach, attachment_of
from landscape_compat.errors import AttachError, LandscapeCompatError, WriteRefusedError
from landscape_compat.landscape.forward import Migrator
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.host import Host, host_of, writing_command
from landscape_compat.landscape.refusals import REMEDY, in_family, refusal
from landscape_compat.landscape.rescue import (
    Finding,
    answer_for,
    examine,
    furnish,
    open_degraded,
)
from landscape_compat.landscape.rules import landscape_rules
from landscape_compat.projection.plan import Plan

__all__ = ["attach_to", "furnisher", "refuse_recording", "refuse_signing"]


def attach_to(db: Any) -> None:
    """Attach to the engine of a `LandscapeDB` that is open already.

    Args:
        db: The database.

    Raises:
        AttachError: It is of no known host, or its engine cannot be attached to.
    """
    host = host_of(db)
    found = attachment_of(db.engine)
    attachment = found or attach(
        db.engine, host.metadata, rules=landscape_rules(), known=known_shapes
    )
    try:
        with db.engine.connect():
            pass  # a database that cannot be read is to be known now
        is_degraded = _is_degraded(db)
    except BaseException:
        if found is None:
            attachment.detach()
        raise
    if is_degraded:
        answer_for(attachment)
        # Builds since June 2026 then leave out what writes, and would check that it can.
        db._read_only = True


def furnisher(
    host: Host,
    kind: type[Any],
    wrapped: Any,
    args: tuple[Any, ...],
    options: dict[str, Any],
    *,
    posture: str,
    migrator: Migrator | None,
) -> Callable[[Any], None] | None:
    """Tell how the host's object is made for a database that the host needs help with.

    Args:
        host: The host.
        kind: The class that is made.
        wrapped: What the host was asked to open it by.
        args: Its arguments.
        options: Its keyword arguments.
        posture: The posture that the shim is installed with.
        migrator: What brings a database forward.

    Returns:
        What makes a bare object of the class an open database; None if the host is to open it.

    Raises:
        LandscapeCompatError: The posture or the purpose forbids it, as the host's own error, too.
    """
    asked = _asked(wrapped, args, options)
    engine = None if asked is None else _rescue(host, kind, asked, posture, migrator)
    if asked is None or engine is None:
        return None
    return partial(furnish, url=asked.url, engine=engine, passphrase=asked.passphrase)


def refuse_recording(db: Any, doing: str) -> None:
    """Refuse what would be done elsewhere and could not be recorded.

    Args:
        db: The host's database.
        doing: What is to be done.

    Raises:
        WriteRefusedError: The database is open read-only.
    """
    if _is_degraded(db) or (getattr(db, "_read_only", False) and _plan_of(db)):
        raise WriteRefusedError(
            f"{doing} was refused: the audit database was made by another version and is "
            "open read-only, so it could not be recorded. Nothing was changed anywhere.",
            remedy=REMEDY,
        )


def refuse_signing(exporter: Any) -> None:
    """Refuse to sign what a degraded database gives.

    Args:
        exporter: The host's exporter.

    Raises:
        WriteRefusedError: Its database is degraded.
    """
    if _is_degraded(getattr(exporter, "_db", None)):
        raise WriteRefusedError(
            "A signed export was refused: some of its values are not stored in this database "
            "but derived or mapped, and a signature would vouch for them.",
            remedy="Export without signing, or use `landscape-compat export`, which gives what "
            "is stored.",
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the host was asked to open, and what for.

    Args:
        url: The database.
        creates: Whether it would create tables.
        journals: Whether it would keep a journal of what is written.
        options: What it would pass on to `create_engine`.
        passphrase: What it would decrypt it by.
    """

    url: str | URL
    creates: bool
    journals: bool
    options: dict[str, Any]
    passphrase: str | None = field(default=None, repr=False)


def _asked(wrapped: Any, args: tuple[Any, ...], options: dict[str, Any]) -> _Asked | None:
    """Read the arguments of a call; None if the host is to see to it alone."""
    try:
        bound = inspect.signature(wrapped).bind(*args, **options)
    except TypeError:
        return None  # the host says how it is to be called
    bound.apply_defaults()
    given = bound.arguments
    url = next(iter(given.values()), None)
    passphrase = given.get("passphrase")
    if not isinstance(url, (str, URL)) or not isinstance(passphrase, str | None):
        return None
    creates, journals = given.get("create_tables", True), given.get("dump_to_jsonl", False)
    if given.get("read_only", False) and (creates or journals or "file:" in str(url)):
        return None  # the host refuses these together, before it opens anything
    passed_on = next(
        (p.name for p in bound.signature.parameters.values() if p.kind is p.VAR_KEYWORD), ""
    )
    passed = dict(given.get(passed_on, {}))
    return _Asked(url, bool(creates), bool(journals), passed, passphrase)


def _rescue(
    host: Host, kind: type[Any], asked: _Asked, posture: str, migrator: Migrator | None
) -> Engine | None:
    """Give the engine by which the host reads a database that it needs help with."""

    def found() -> Finding | None:
        return examine(
            host,
            kind,
            asked.url,
            asked.options,
            creating=asked.creates,
            passphrase=asked.passphrase,
        )

    if asked.passphrase is not None:
        migrator = None  # what is encrypted is not copied
    try:
        finding = found()
        if finding is None:
            if migrator and asked.creates:
                migrator.finish(asked.url)
            return None
        command = writing_command()
        writes = bool(command or asked.journals or (asked.creates and host.reads_without_creating))
        if finding.lets_the_host_write(creating=asked.creates) and (
            writes or (asked.creates and not finding.shifts_values)
        ):
            return None  # what works without the shim works the same with it
        if writes and migrator:
            migrator.bring_forward(asked.url, lambda: found() is not None)
            writes = found() is not None
            if not writes:
                return None  # it is the host's own by now
        if posture == "refuse" or writes:
            raise refusal(finding, posture, command)
        return open_degraded(host, asked.url, asked.options, asked.passphrase)
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
