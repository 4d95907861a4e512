"""A plugin for pytest that attaches the shim to every engine that `create_engine` makes."""

from __future__ import annotations

from typing import Any
from unittest.mock import NonCallableMock

from sqlalchemy import URL, Column, Engine, Integer, MetaData, Table
from sqlalchemy.engine import CreateEnginePlugin

from landscape_compat import AttachError, attach

__all__ = ["pytest_configure", "pytest_terminal_summary"]

# A table of nobody's, so that no database is degraded: then everything must be as without.
METADATA = MetaData()
Table("landscape_compat_nobody", METADATA, Column("id", Integer, primary_key=True))
attached = 0


class Attaching(CreateEnginePlugin):
    """Attaches to an engine when it is complete."""

    def engine_created(self, engine: Engine) -> None:
        """Attach, unless the dialect is one that is not known: refused, as it should be.

        Nor to an engine of a mock of a driver, which has no database that could be looked at.
        """
        global attached
        if isinstance(engine.dialect.loaded_dbapi, NonCallableMock):
            return
        try:
            attach(engine, METADATA)
        except AttachError:
            return
        attached += 1


def pytest_configure(config: Any) -> None:
    """Have every URL name the plugin."""
    find = URL._instantiate_plugins

    def find_and_add(self: URL, keywords: Any) -> Any:
        url, plugins, keywords = find(self, keywords)
        return url, [*plugins, Attaching(url, keywords)], keywords

    URL._instantiate_plugins = find_and_add  # type: ignore[method-assign,assignment]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many engines that were."""
    terminalreporter.write_line(f"landscape_compat was attached to {attached} engines")
