"""Which records are wanted: of which runs, and of which tables."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, literal, null, select

from landscape_compat.errors import (
    LandscapeCompatError,
    RunNotFoundError,
    UnreadableError,
    printable,
)
from landscape_compat.landscape.moments import in_utc
from landscape_compat.landscape.stored import StoredSchema, StoredTable, read
from landscape_compat.landscape.tables import RUNS, TABLES
from landscape_compat.schema.shape import SchemaShape, fold_name

__all__ = ["EVERYTHING", "NO_RUNS", "Selection"]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records of a database are wanted; everything, where nothing is said.

    Args:
        run_ids: These runs.
        since: Runs that began at this time or later, in UTC if it names no zone.
        until: Runs that began before this time.
        statuses: Runs with one of these statuses.
        tables: Records of these tables only, each by its name or by its records' type.
    """

    run_ids: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    statuses: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()

    @property
    def is_of_runs(self) -> bool:
        """Tell whether runs are chosen, so that what belongs to no run is left out."""
        return bool(self.run_ids or self.since or self.until or self.statuses)

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        return {
            "runs": list(self.run_ids) or None,
            "since": in_utc(self.since).isoformat() if self.since else None,
            "until": in_utc(self.until).isoformat() if self.until else None,
            "statuses": list(self.statuses) or None,
            "tables": list(self.tables) or None,
        }

    def find_runs(self, connection: Connection, stored: SchemaShape) -> tuple[Any, ...] | None:
        """Find the runs that are wanted, in the order in which they began.

        Args:
            connection: A connection inside a read transaction.
            stored: What the database stores.

        Returns:
            Their ids; None where no run is chosen, and so everything is wanted.

        Raises:
            RunNotFoundError: A run that was asked for is not there, or none fits.
            UnreadableError: Of a run it cannot be told when it began.
        """
        if not self.is_of_runs:
            return None
        schema = StoredSchema(stored, connection.dialect.name)
        runs = schema.table(RUNS)
        named = set[Any]()
        for run_id in self.run_ids:
            stored_as = _stored_ids(connection, schema, runs, run_id) if runs else set[Any]()
            if not stored_as:
                raise RunNotFoundError(
                    f"The database holds no run {run_id!r}, so there is nothing to export.",
                    table=RUNS,
                    remedy="Check the run's id and the database; "
                    "`ReadOnlyRecorder(db).list_runs()` lists the runs that it holds.",
                )
            named |= stored_as
        found = tuple(dict.fromkeys(self._fitting(connection, runs, named))) if runs else ()
        if not found:
            raise RunNotFoundError(
                "No run in the database is of the wanted ones, so there is nothing to export.",
                table=RUNS,
                remedy=_choice(connection, runs) if runs else NO_RUNS,
            )
        return found

    def find_tables(self, stored: SchemaShape, declared: SchemaShape) -> frozenset[str] | None:
        """Find the wanted tables' folded names; None where all are wanted.

        Args:
            stored: What the database stores.
            declared: What the newest known schema declares: such a table may be absent here.

        Raises:
            LandscapeCompatError: No such table is known.
        """
        if not self.tables:
            return None
        known = {fold_name(table.name) for schema in (stored, declared) for table in schema}
        of_type = {facts.record_type: fold_name(facts.table) for facts in TABLES}
        found = set()
        for name in self.tables:
            folded = fold_name(name)
            if folded not in known:
                folded = of_type.get(folded, "")
            if not folded:
                raise LandscapeCompatError(
                    f"No table or type of record is called {name!r}, so there is nothing to "
                    "export.",
                    remedy=f"Tables that can be named: {', '.join(map(printable, sorted(known)))}.",
                )
            found.add(folded)
        return frozenset(found)

    def _fitting(self, connection: Connection, runs: StoredTable, named: Set[Any]) -> Iterator[Any]:
        columns = [runs.column(name) for name in ("run_id", "started_at", "status")]
        filled = [null() if column is None else column for column in columns]
        statement = select(*filled).order_by(*runs.order())
        for run_id, began, status in read(connection, statement, table=RUNS):
            if run_id is None or (named and run_id not in named):
                continue
            if self.statuses and status not in self.statuses:
                continue
            if self.since or self.until:
                at = _moment(run_id, began)
                if self.since and at < in_utc(self.since):
                    continue
                if self.until and at >= in_utc(self.until):
                    continue
            yield run_id


EVERYTHING: Final = Selection()
_MOST_NAMED: Final = 10


def _stored_ids(
    connection: Connection, schema: StoredSchema, runs: StoredTable, run_id: str
) -> set[Any]:
    """Find a run as the database compares ids, by what it stores: a number, say, or one padded."""
    column = runs.column("run_id")
    if column is None:
        return set()
    statement = select(column).where(schema.of_run(runs, literal(run_id)))
    return {stored for (stored,) in read(connection, statement, table=RUNS)}


NO_RUNS: Final = "This database holds no run at all; check the path."


def _choice(connection: Connection, runs: StoredTable) -> str:
    """Say by which statuses and times runs could be chosen."""
    status, began = runs.column("status"), runs.column("started_at")
    said = []
    if status is not None:
        named = select(status).where(status.is_not(None)).distinct().order_by(status)
        found = read(connection, named.limit(_MOST_NAMED), table=RUNS)
        statuses = ", ".join(printable(value) for (value,) in found)
        said += [f"of the status {statuses}"] if statuses else []
    if began is not None:
        ((first, last),) = read(connection, select(func.min(began), func.max(began)), table=RUNS)
        said += [f"begun from {printable(first)} to {printable(last)}"] if first else []
    if said:
        return f"Choose others; stored are runs {' and '.join(said)}."
    if list(read(connection, select(literal(1)).select_from(runs.clause).limit(1), table=RUNS)):
        return "The runs that this database holds tell no status and no time; choose by their ids."
    return NO_RUNS


def _moment(run_id: Any, stored: Any) -> datetime:
    if isinstance(stored, datetime):
        return in_utc(stored)
    try:
        return in_utc(datetime.fromisoformat(stored))
    except (TypeError, ValueError) as error:
        raise UnreadableError(
            f"Of the run {printable(run_id)} it cannot be told when it began: {stored!r}.",
            table=RUNS,
            column="started_at",
            remedy="Name the wanted runs instead of a time.",
        ) from error
