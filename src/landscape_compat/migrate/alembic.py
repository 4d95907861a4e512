"""The way to Alembic: its operations that would bring a database to a declared schema."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, MetaData
from sqlalchemy.exc import ArgumentError, SAWarning
from sqlalchemy.pool import NullPool

from landscape_compat.engine.attach import attach
from landscape_compat.engine.encryption import make_engine
from landscape_compat.errors import LandscapeCompatError
from landscape_compat.landscape.database import database_url

if TYPE_CHECKING:
    from alembic.migration import MigrationContext

__all__ = ["AlembicPlan", "plan_alembic"]


@dataclass(frozen=True, slots=True)
class AlembicPlan:
    """What Alembic would do to a database.

    Args:
        stamps: The revisions that Alembic has stamped it with, as its table `alembic_version`
            says; none if Alembic does not look after it.
        operations: What would be done, in words: `add_column tokens.expand_group_id`.
        code: The body of the `upgrade()` of a revision, as Alembic renders it.
        cautions: What Alembic warns of: code that will not run as it is.
    """

    stamps: tuple[str, ...]
    operations: tuple[str, ...]
    code: str
    cautions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        return {
            "stamps": list(self.stamps),
            "operations": list(self.operations),
            "code": self.code,
            "cautions": list(self.cautions),
        }


def plan_alembic(database: str | os.PathLike[str] | URL, metadata: MetaData) -> AlembicPlan:
    """Have Alembic find what would bring a database to a declared schema, without doing it.

    Nothing is written to the database. What Alembic does not see (a column that was renamed, a
    changed CHECK) is not in it: look before you run it. Values are not its business either; a
    column that it adds holds nothing.

    Args:
        database: A path, or a SQLAlchemy URL, of any SQLAlchemy project.
        metadata: What the project declares.

    Raises:
        LandscapeCompatError: Alembic is not installed, or cannot express the database's schema.
        OpeningRefusedError: The database cannot be opened without a trace or a risk; says why.
        AttachError: Its dialect is not known.
    """
    try:
        from alembic.autogenerate import produce_migrations, render_python_code
        from alembic.migration import MigrationContext
    except ModuleNotFoundError as error:
        raise LandscapeCompatError(
            "Alembic is not installed here.",
            remedy="Install it: python -m pip install 'landscape-compat[alembic]'.",
        ) from error
    engine = make_engine(database_url(database), poolclass=NullPool)
    try:
        attach(engine, metadata, read_only=True)
        with engine.connect() as connection, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            # Of what Alembic cannot compare it warns; it is in the docstring.
            warnings.simplefilter("ignore", SAWarning)
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "target_metadata": metadata}
            )
            ops = produce_migrations(context, metadata).upgrade_ops
            assert ops is not None
            body = render_python_code(
                ops,
                sqlalchemy_module_prefix="sa.",
                render_as_batch=connection.dialect.name == "sqlite",
                migration_context=context,
            )
            # Alembic renders it as the body of a function, the first line's margin left out.
            code = dedent(f"    {body}")
            told = (str(one.message) for one in caught if one.category is UserWarning)
            cautions = dict.fromkeys(told)
            stamps = _stamps(connection, context)
            return AlembicPlan(stamps, tuple(_told(ops)), code, tuple(cautions))
    except ArgumentError as error:
        raise LandscapeCompatError(
            f"Alembic cannot express the schema of this database: {error}",
            remedy="See what it lacks by `inspect`, and write the operations by hand.",
        ) from error
    finally:
        engine.dispose()


def _stamps(connection: Connection, context: MigrationContext) -> tuple[str, ...]:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return ()
    return tuple(sorted(context.get_current_heads()))


def _told(ops: Any) -> list[str]:
    told = []
    for op in ops.ops:
        if hasattr(op, "ops"):
            told += _told(op)
            continue
        name = type(op).__name__.removesuffix("Op")
        words = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
        table = getattr(op, "table_name", None) or getattr(op, "source_table", "")
        column = getattr(getattr(op, "column", None), "name", None)
        part = column or getattr(op, "column_name", None) or getattr(op, "index_name", None)
        part = part or getattr(op, "constraint_name", None)
        told.append(f"{words} {table}" + (f".{part}" if part else ""))
    return told
