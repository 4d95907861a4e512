"""Installing the shim with every posture, `migrate` among them."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import URL

from landscape_compat.landscape.install import Posture
from landscape_compat.landscape.install import install as install_shim

__all__ = ["install"]


def install(*, posture: Posture = "degrade") -> None:
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

    Raises:
        AttachError: It is installed with another posture, or the host is of no known version.
    """
    install_shim(posture=posture, migrator=_bring_forward if posture == "migrate" else None)


def _bring_forward(url: str | URL, wanted: Callable[[], bool]) -> None:
    # Not before it is used: most programs that install the shim never migrate.
    from landscape_compat.migrate.swap import migrate_in_place

    migrate_in_place(url, host=True, wanted=wanted)
