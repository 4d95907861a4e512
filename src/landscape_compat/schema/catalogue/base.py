"""What is asked of each dialect's catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from landscape_compat.schema.shape import SchemaShape

__all__ = ["Catalogue"]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """How one dialect tells what it stores; each function takes a raw DBAPI connection.

    Args:
        default_schema: The schema that unqualified names are found in.
        read_stored: Read every table and view of that schema.
        read_version: Read a number that changes with every change of the schema.
    """

    default_schema: str
    read_stored: Callable[[Any], SchemaShape]
    read_version: Callable[[Any], int]
