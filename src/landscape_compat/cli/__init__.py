"""The command line: each command a small module, each a twin of the Python API."""

from __future__ import annotations

from landscape_compat.cli.main import main

__all__ = ["main"]
