"""Migration: a new database in the wanted shape, filled from an old one, and the proof of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import URL

from landscape_compat.export.output.placing import folder_beside
from landscape_compat.landscape.database import database_url
from landscape_compat.migrate.kept import proof_of
from landscape_compat.migrate.making import Migration, Wanted, copy_and_prove, source_of, told_of
from landscape_compat.migrate.placing import put_in_place, require_free
from landscape_compat.migrate.proof import require_own_proof, statement
from landscape_compat.migrate.server import migrate_to_server

__all__ = ["migrate_database"]


def migrate_database(
    database: str | os.PathLike[str] | URL,
    new: str | os.PathLike[str] | URL,
    *,
    to: str | int | None = None,
    host: bool = False,
    keep_extra: bool = False,
    quarantine: bool = False,
    stand_ins: Mapping[str, str] | None = None,
    proof: str | os.PathLike[str] | None = None,
) -> Migration:
    """Make a new database in another shape, filled from an old one, which is left as it is.

    Each table is copied through the projection that reading it uses, in the order its rows were
    written, or on a server in that of its keys. Then both databases are read again and compared
    row by row. The new one gets its place only when all is the same, with an in-toto statement
    beside it. On a server it appears in one transaction.

    Args:
        database: A path, or a SQLAlchemy URL of SQLite or PostgreSQL.
        new: The file to make, or the URL of a PostgreSQL database with none of its tables.
        to: The wanted shape: a name, commit, epoch or date; the newest known if not given.
        host: Whether the installed host makes the empty database, instead of a known shape; in
            a file only.
        keep_extra: Whether tables and columns that the new shape does not know are carried too.
        quarantine: Whether rows that the new schema refuses go to side tables, instead of
            stopping the migration.
        stand_ins: What is to stand, in a database that the host makes, in columns that it does
            not let be NULL and that were never recorded: a text for each `table.column`. Without
            it such rows are refused, because no value is made up here.
        proof: Where the statement goes, which has to be said for a database on a server; a
            file's gets its name with `.intoto.json` behind it.

    Raises:
        OpeningRefusedError: The old database cannot be read safely; says why.
        NotALandscapeError: It is not a Landscape.
        UnreadableError: Something in it cannot be projected, or is not valid text.
        RowsRefusedError: The new schema's constraints, or the server, refuse rows; names them.
        SourceChangedError: The old database changed meanwhile.
        ProofFailedError: The two do not hold the same. Nothing is kept.
        OutputError: The place is taken, or cannot be written to.
        LandscapeCompatError: No such shape is known, or no host is installed.
    """
    url, source = source_of(database)
    wanted = Wanted(to, host, keep_extra, quarantine, stand_ins or {})
    if isinstance(new, URL) or "://" in os.fspath(new):
        return migrate_to_server(url, source, database_url(new), wanted, proof)
    final = Path(os.path.abspath(new))  # noqa: PTH100 - resolve() would follow a symlink there
    beside = proof_of(final)
    require_free(final)
    require_own_proof(beside, final.name)
    with folder_beside(final) as folder, told_of(final):
        path = folder / final.name
        made = copy_and_prove(url, source, path, wanted)
        written = folder / beside.name
        written.write_bytes(statement(final.name, made.sha256, made.predicate))
        # A database without its proof would be taken for one that was never proven; a proof
        # without its database is replaced by the next run.
        put_in_place(written, beside, replace=True)
        put_in_place(path, final)
    return Migration(path=final, proof=beside, target=made.target.name, done=made.done)
