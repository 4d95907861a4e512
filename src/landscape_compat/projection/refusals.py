"""Refusals: what is not sent to a database, because it writes or the answer might be wrong."""

from __future__ import annotations

import re

from landscape_compat.errors import UnreadableError, WriteRefusedError
from landscape_compat.projection.plan import Plan
from landscape_compat.projection.prelude import Projection
from landscape_compat.projection.scan import Effect, StatementScan
from landscape_compat.schema.shape import fold_name
from landscape_compat.schema.types import is_mariadb

__all__ = ["moves_names", "refuse_any", "refuse_names", "refuse_projected"]

_REMEDIES = (
    "Export the database as it is, migrate a copy of it, or start a fresh one; this one stays "
    "as it was written."
)

# What may make another schema of the search path the first one.
_MOVES = frozenset({"SET", "RESET", "DISCARD"})


def moves_names(scan: StatementScan) -> bool:
    """Tell whether names may mean something else for the statements after this one.

    Args:
        scan: What the scanner says of the statement.
    """
    return scan.verb in _MOVES or "set_config" in scan.names


def refuse_any(scan: StatementScan) -> None:
    """Refuse what is never sent to a degraded database, whatever it names.

    Args:
        scan: What the scanner says of the statement.

    Raises:
        WriteRefusedError: It writes.
        UnreadableError: It cannot be told for sure what it is.
    """
    if scan.executes:
        raise UnreadableError(
            "The statement has a comment whose content the server executes (`/*! ... */`).",
            remedy="Write into the statement what the comment holds, or leave it out.",
        )
    if scan.misplaces:
        raise UnreadableError(
            "The statement has a percent sign, or a parameter, where no value stands: in a string, "
            "a comment or a name. What the driver makes of that is not what was read here.",
            remedy="Double each percent sign that is one, and let a parameter stand alone.",
        )
    if scan.effect is Effect.WRITES:
        raise WriteRefusedError(
            f"{scan.verb or 'The statement'} was refused before it reached the database, which is "
            "open read-only because its schema is not the one this program was written for.",
            remedy=_REMEDIES,
        )
    if scan.multiple:
        raise UnreadableError(
            "Several statements in one text cannot be projected onto an older schema.",
            remedy="Execute them one by one.",
        )


def refuse_names(scan: StatementScan, plan: Plan) -> None:
    """Refuse what has a name mean another table, or reads a degraded table behind a name.

    Args:
        scan: What the scanner says of the statement.
        plan: The plan for the database.

    Raises:
        UnreadableError: It does.
    """
    _refuse_other_names(scan, plan)
    _refuse_routines(scan, plan)


def refuse_projected(text: str, scan: StatementScan, plan: Plan, read: Projection) -> None:
    """Refuse what a prelude would not answer as the migrated database would.

    Args:
        text: The statement.
        scan: What the scanner says of it.
        plan: The plan for the database.
        read: The projection of a table that it names, to tell which that is.

    Raises:
        UnreadableError: It would not.
    """
    if scan.effect is Effect.OTHER:
        raise UnreadableError(
            f"A statement that starts with {scan.verb or text[:20]!r} cannot be projected onto "
            "an older schema.",
            table=read.label,
            remedy="Read the table by a SELECT.",
        )
    _refuse_hidden_names(scan, read)
    _refuse_beside_tables(scan, read)
    _refuse_forgotten_tests(scan, read)
    _refuse_row_numbers(scan, plan)
    _refuse_same_names(scan, plan)


def _refuse_other_names(scan: StatementScan, plan: Plan) -> None:
    # A transaction that reads only may do so, and the prelude would go on hiding tables.
    is_setting = scan.verb in _MOVES or scan.effect is Effect.PRAGMA
    if plan.syntax.name == "duckdb" and (
        scan.verb == "USE" or (is_setting and scan.names & {"schema", "search_path"})
    ):
        raise UnreadableError(
            "The statement would have the declared names mean tables of another schema.",
            remedy="Name the tables of other schemas with their schema.",
        )


def _refuse_routines(scan: StatementScan, plan: Plan) -> None:
    """Refuse to call what reads a degraded table by itself."""
    routines = plan.stored.routines
    for name in sorted(scan.names & routines.keys()):
        reached, ahead = set[str](), {name}
        while ahead:
            reached |= ahead
            words = re.findall(r"\w+", " ".join(routines.get(word, "") for word in ahead))
            ahead = set(map(fold_name, words)) - reached
        for projection in plan.all_projections():
            if fold_name(projection.name) in reached:
                raise UnreadableError(
                    f"The statement calls {name!r}, a macro that reads the table as it is stored.",
                    table=projection.label,
                    remedy="Write what the macro does into the statement.",
                )


def _refuse_hidden_names(scan: StatementScan, read: Projection) -> None:
    if scan.hides_names:
        raise UnreadableError(
            "The statement takes a table's name or another statement as a value, or describes what "
            "is stored.",
            table=read.label,
            remedy="Name the table in FROM.",
        )


def _refuse_beside_tables(scan: StatementScan, read: Projection) -> None:
    if scan.inner_ctes and is_mariadb(read.dialect.name):
        # There, it looks among the stored tables and not among the expressions further out.
        raise UnreadableError(
            "The statement has a WITH within, whose tables MariaDB would read as they are stored.",
            table=read.label,
            remedy="Write all common table expressions at its beginning.",
        )
    # Some of it a server ignores without a word, where a common table expression is named.
    for said in sorted(scan.beside_tables):
        raise UnreadableError(
            f"The statement says {said} of a table, which cannot be said of one that is shown in "
            "another shape than it is stored in.",
            table=read.label,
            remedy="Leave it out, or read what is stored "
            "(execution_options(landscape_compat_stored=True)).",
        )


def _refuse_forgotten_tests(scan: StatementScan, read: Projection) -> None:
    """Refuse tests that MariaDB answers wrongly of any table, and of each in its own way."""
    if not is_mariadb(read.dialect.name):
        return
    if scan.compares_groups:
        raise UnreadableError(
            "The statement compares a value with what a subquery gives in HAVING, where MariaDB "
            "may take another group's value.",
            table=read.label,
            remedy="Compare further out: "
            "`SELECT ... FROM (SELECT max(x) AS x ... GROUP BY ...) AS g WHERE x IN (...)`.",
        )
    # Worked out for each row, the comparison is forgotten, or what was found for another row.
    if scan.compares_windows:
        raise UnreadableError(
            "The statement compares a value with what a subquery gives by a window function, which "
            "MariaDB does not always do.",
            table=read.label,
            remedy="Let the subquery read from another: "
            "`IN (SELECT x FROM (SELECT ... OVER (...) AS x ...) AS w)`.",
        )


def _refuse_row_numbers(scan: StatementScan, plan: Plan) -> None:
    # Among several tables it means a column or a result, or is an error. A common table expression
    # has no row number, so that the database would take it for that of the other table.
    own = {"", *scan.own_ctes, *scan.inner_ctes}

    def is_found(name: str, table: str) -> bool:
        shapes = (plan.stored.table(table), plan.declared.table(table))
        return any(shape.column(name) is not None for shape in shapes if shape is not None)

    def has_row_number(table: str) -> bool:
        shape = plan.stored.table(table)
        if table in own or (shape is None and plan.declared.table(table) is None):
            return False
        return shape is None or (shape.has_rowid and shape.kind == "table")

    for lone in sorted(scan.lone_row_numbers, key=lambda lone: (lone.name, sorted(lone.tables))):
        name = lone.name
        if any(has_row_number(table) for table in lone.passed) or any(
            is_found(name, table) for table in (*lone.passed, *lone.tables)
        ):
            continue
        if not lone.is_one:
            raise UnreadableError(
                f"The statement names {name!r} where it reads several tables, and the database "
                "would take that for the row number, or its like, of one that is read as stored.",
                column=name,
                remedy="Write the table's name before it, or give a result another name.",
            )
        (table,) = lone.tables
        shape = plan.stored.table(table)
        if shape is not None and not shape.has_rowid and shape.kind == "table":
            raise UnreadableError(
                "The table has no row number to be shown by, and the database would take that of a "
                "table further out.",
                table=table,
                column=name,
                remedy="Write the name of the table that is meant before it.",
            )


def _refuse_same_names(scan: StatementScan, plan: Plan) -> None:
    # SQLite refuses `*` there for two tables, and answers where one of them is none.
    if scan.has_same_names and scan.has_star and plan.syntax.name == "sqlite":
        raise UnreadableError(
            "The statement reads two tables by one name, and every column of them.",
            remedy="Give them aliases that differ, or name the columns.",
        )
