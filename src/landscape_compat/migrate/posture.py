"""Installing the shim with every posture, `migrate` among them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from sqlalchemy import URL, make_url

from landscape_compat.errors import AttachError
from landscape_compat.landscape.forward import Migrator
from landscape_compat.landscape.install import Posture
from landscape_compat.landscape.install import install as install_shim

__all__ = ["install"]


def install(*, posture: Posture = "degrade", stand_ins: Mapping[str, str] | None = None) -> None:
    """Let every `LandscapeDB` made from now on read any Landscape.

    A database that the host reads by itself is opened by the host as ever. One that it could
    not read is opened read-only and read through projections. Works before or after the host
    is imported; installing again with the same posture does nothing.

    Args:
        posture: What a degraded database gets. `degrade` opens it read-only and refuses to
            write. `refuse` raises when it is opened. `migrate`, when it is opened for writing,
            makes a new one beside it as the host itself makes one, fills and proves it, lets it
            take the database's name, and keeps the original read-only; on any doubt it refuses
            and leaves all as it was.
        stand_ins: For `migrate`: what is to stand in columns that the host does not let be NULL
            and that were never recorded, a text for each `table.column`. Without it a database
            with such rows is refused. Those of the last call count.

    Raises:
        AttachError: It is installed with another posture, or the host is of no known version.
    """
    if stand_ins and posture != "migrate":
        raise AttachError(
            f"With the posture {posture!r} no database is migrated, so nothing can stand in.",
            remedy="Leave stand_ins out, or install with the posture 'migrate'.",
        )
    migrator = Migrator(partial(_bring_forward, dict(stand_ins or {})), _finish)
    install_shim(posture=posture, migrator=migrator if posture == "migrate" else None)


def _bring_forward(
    stand_ins: Mapping[str, str], url: str | URL, wanted: Callable[[], bool]
) -> None:
    # Not before it is used: most programs that install the shim never migrate.
    from landscape_compat.migrate.swap import migrate_in_place

    migrate_in_place(url, host=True, stand_ins=stand_ins, wanted=wanted)


def _finish(url: str | URL) -> None:
    from landscape_compat.migrate.kept import finish_kept

    found = make_url(url)
    if found.get_backend_name() == "sqlite" and found.database and not found.query:
        finish_kept(Path(os.path.realpath(found.database)))
