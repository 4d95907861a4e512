"""A plugin for pytest that attaches the shim to every engine that is made."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Engine, Integer, MetaData, Table

from landscape_compat import AttachError, attach

__all__ = ["pytest_configure"]

# A table of nobody's, so that no database is degraded: then everything must be as without.
METADATA = MetaData()
Table("landscape_compat_nobody", METADATA, Column("id", Integer, primary_key=True))
attached = 0


def pytest_configure(config: Any) -> None:
    """Wrap what makes an engine."""
    make = Engine.__init__

    def make_and_attach(self: Engine, *arguments: Any, **keywords: Any) -> None:
        global attached
        make(self, *arguments, **keywords)
        try:
            attach(self, METADATA)
        except AttachError:
            return  # of a dialect that is not known: refused, as it should be
        attached += 1

    Engine.__init__ = make_and_attach  # type: ignore[method-assign]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many engines that were."""
    terminalreporter.write_line(f"landscape_compat was attached to {attached} engines")
