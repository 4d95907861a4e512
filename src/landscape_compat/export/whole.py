"""A whole export: the records of a Landscape, with the report that explains them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from landscape_compat.export.folder import ExportedFolder, write_folder
from landscape_compat.export.stream import export_database, export_run
from landscape_compat.landscape.database import Landscape

__all__ = ["export_landscape"]


def export_landscape(
    db: Landscape,
    folder: str | os.PathLike[str],
    *,
    run_id: str | None = None,
    formats: Sequence[str] = ("jsonl",),
    force: bool = False,
) -> ExportedFolder:
    """Export a Landscape, or one of its runs, to a folder.

    Beside the records lies `report.json`: which schema the database has, what it lacks against
    the newest known one, how it was opened, what was exported, and each file's digest.

    Args:
        db: The database.
        folder: The folder to make.
        run_id: The run; everything that the database holds if not given.
        formats: The forms to write: `jsonl`, `csv`.
        force: Whether to replace an earlier export in that place.

    Raises:
        RunNotFoundError: The database holds no such run.
        OutputError: The place is taken, or cannot be written to, or a value cannot be written.
        SourceChangedError: The database changed meanwhile; nothing is left of the export.
        UnreadableError: A value cannot be given faithfully, or the database is damaged.
    """
    stream = export_database(db) if run_id is None else export_run(db, run_id)
    try:
        report: dict[str, Any] = db.report().to_dict()
        report["selection"] = {"run_id": run_id}

        def finish() -> dict[str, Any]:
            return {**report, "unreached": stream.unreached}

        return write_folder(stream, folder, formats=formats, report=finish, force=force)
    finally:
        stream.close()
