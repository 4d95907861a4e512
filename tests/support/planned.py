"""An older database in memory beside its migrated copy, and the plan by which it is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.dialects import sqlite

from landscape_compat.projection.plan import Plan, make_plan
from landscape_compat.projection.rewrite import Rewritten, rewrite_statement
from landscape_compat.projection.rules import Rule, RuleSet
from landscape_compat.schema.catalogue.sqlite import read_stored
from landscape_compat.schema.declared import declared_schema

__all__ = ["Planned", "plan_for"]

DIALECT = sqlite.dialect()


def plan_for(
    connection: sqlite3.Connection, metadata: MetaData, rules: Sequence[Rule] = ()
) -> Plan:
    """Plan how what is declared is read from what a connection's database stores."""
    declared = declared_schema(metadata, DIALECT, "main")
    return make_plan(read_stored(connection), declared, RuleSet(rules), DIALECT, "main")


@dataclass(frozen=True, slots=True)
class Planned:
    """A database of another version, and the same one migrated.

    Args:
        older: What is stored.
        copy: What a migration would have made of it.
        plan: How the first is read as the second.
    """

    older: sqlite3.Connection
    copy: sqlite3.Connection
    plan: Plan

    @classmethod
    def of(
        cls, stored: str, migration: str, metadata: MetaData, rules: Sequence[Rule] = ()
    ) -> Planned:
        """Build both by script."""
        older, copy = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
        older.executescript(stored)
        copy.executescript(stored + migration)
        return cls(older, copy, plan_for(older, metadata, rules))

    def rewrite(self, text: str) -> Rewritten:
        """Rewrite a statement for the older one."""
        return rewrite_statement(text, self.plan)

    def read(self, text: str, parameters: Sequence[Any] = ()) -> tuple[list[str], list[Any]]:
        """Read from the older one by the plan: the columns' names, and the rows."""
        return _rows(self.older, self.rewrite(text).text, parameters)

    def expect(self, text: str, parameters: Sequence[Any] = ()) -> tuple[list[str], list[Any]]:
        """Read the same from the migrated copy, with no plan."""
        return _rows(self.copy, text, parameters)

    def close(self) -> None:
        """Close both."""
        self.older.close()
        self.copy.close()


def _rows(
    connection: sqlite3.Connection, text: str, parameters: Sequence[Any]
) -> tuple[list[str], list[Any]]:
    cursor = connection.execute(text, parameters)
    return [column[0] for column in cursor.description or ()], cursor.fetchall()
