"""Read databases that code of another version wrote, without changing or inventing anything."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landscape_compat.engine.attach import Attachment, attach, detach
    from landscape_compat.engine.diagnosis import Diagnosis
    from landscape_compat.engine.profiles import Profile, load_profile
    from landscape_compat.engine.report import SchemaReport
    from landscape_compat.errors import (
        AttachError,
        DegradedDatabaseError,
        DegradedReadWarning,
        LandscapeCompatError,
        NotALandscapeError,
        OpeningRefusedError,
        OutputError,
        ProofFailedError,
        RowsRefusedError,
        RuleError,
        RunNotFoundError,
        SourceChangedError,
        UnreadableError,
        WriteRefusedError,
    )
    from landscape_compat.export.dataset.dataset import ExportedDataset, export_dataset
    from landscape_compat.export.dataset.task import DatasetFile
    from landscape_compat.export.page import make_page, write_page
    from landscape_compat.export.records.selection import Selection
    from landscape_compat.export.records.stream import export_run
    from landscape_compat.export.signing.signing import SigningKey
    from landscape_compat.export.verify.dataset import verify_dataset
    from landscape_compat.export.verify.findings import Finding, Verification
    from landscape_compat.export.verify.seals import Seals, Verifiers
    from landscape_compat.export.verify.verify import verify_bag
    from landscape_compat.export.whole import ExportedBag, export_bag
    from landscape_compat.landscape.absent import ABSENT
    from landscape_compat.landscape.checking import CheckedDatabase, check_databases
    from landscape_compat.landscape.database import Landscape, open_landscape
    from landscape_compat.landscape.difference import SchemaDifference, diff_databases
    from landscape_compat.landscape.inspection import diagnose_database, inspect_database
    from landscape_compat.landscape.install import uninstall, wrap
    from landscape_compat.landscape.lineage import Lineage, explain
    from landscape_compat.landscape.recorder import ReadOnlyRecorder
    from landscape_compat.migrate.alembic import AlembicPlan, plan_alembic
    from landscape_compat.migrate.aside import reset_database
    from landscape_compat.migrate.making import Migration
    from landscape_compat.migrate.migration import migrate_database
    from landscape_compat.migrate.posture import install
    from landscape_compat.migrate.swap import Swapped, migrate_in_place
    from landscape_compat.migrate.verify import verify_migration
    from landscape_compat.projection.rules import (
        Rule,
        RuleSet,
        absent,
        derived,
        mapped,
        neutral,
        renamed,
    )
    from landscape_compat.schema.drift import TableDrift
    from landscape_compat.schema.fingerprint import TableFingerprint

_HOMES = {
    "engine.attach": ("Attachment", "attach", "detach"),
    "engine.diagnosis": ("Diagnosis",),
    "engine.profiles": ("Profile", "load_profile"),
    "engine.report": ("SchemaReport",),
    "errors": (
        "AttachError",
        "DegradedDatabaseError",
        "DegradedReadWarning",
        "LandscapeCompatError",
        "NotALandscapeError",
        "OpeningRefusedError",
        "OutputError",
        "ProofFailedError",
        "RowsRefusedError",
        "RuleError",
        "RunNotFoundError",
        "SourceChangedError",
        "UnreadableError",
        "WriteRefusedError",
    ),
    "export.dataset.dataset": ("ExportedDataset", "export_dataset"),
    "export.dataset.task": ("DatasetFile",),
    "export.verify.dataset": ("verify_dataset",),
    "export.verify.findings": ("Finding", "Verification"),
    "export.verify.seals": ("Seals", "Verifiers"),
    "export.page": ("make_page", "write_page"),
    "export.records.selection": ("Selection",),
    "export.signing.signing": ("SigningKey",),
    "export.records.stream": ("export_run",),
    "landscape.absent": ("ABSENT",),
    "landscape.checking": ("CheckedDatabase", "check_databases"),
    "export.verify.verify": ("verify_bag",),
    "export.whole": ("ExportedBag", "export_bag"),
    "landscape.database": ("Landscape", "open_landscape"),
    "landscape.inspection": ("diagnose_database", "inspect_database"),
    "landscape.difference": ("SchemaDifference", "diff_databases"),
    "landscape.install": ("uninstall", "wrap"),
    "landscape.lineage": ("Lineage", "explain"),
    "landscape.recorder": ("ReadOnlyRecorder",),
    "migrate.alembic": ("AlembicPlan", "plan_alembic"),
    "migrate.aside": ("reset_database",),
    "migrate.making": ("Migration",),
    "migrate.migration": ("migrate_database",),
    "migrate.posture": ("install",),
    "migrate.swap": ("Swapped", "migrate_in_place"),
    "migrate.verify": ("verify_migration",),
    "projection.rules": (
        "Rule",
        "RuleSet",
        "absent",
        "derived",
        "mapped",
        "neutral",
        "renamed",
    ),
    "schema.drift": ("TableDrift",),
    "schema.fingerprint": ("TableFingerprint",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ABSENT",
    "AlembicPlan",
    "AttachError",
    "Attachment",
    "CheckedDatabase",
    "DatasetFile",
    "DegradedDatabaseError",
    "DegradedReadWarning",
    "Diagnosis",
    "ExportedBag",
    "ExportedDataset",
    "Finding",
    "Landscape",
    "LandscapeCompatError",
    "Lineage",
    "Migration",
    "NotALandscapeError",
    "OpeningRefusedError",
    "OutputError",
    "Profile",
    "ProofFailedError",
    "ReadOnlyRecorder",
    "RowsRefusedError",
    "Rule",
    "RuleError",
    "RuleSet",
    "RunNotFoundError",
    "SchemaDifference",
    "SchemaReport",
    "Seals",
    "Selection",
    "SigningKey",
    "SourceChangedError",
    "Swapped",
    "TableDrift",
    "TableFingerprint",
    "UnreadableError",
    "Verification",
    "Verifiers",
    "WriteRefusedError",
    "absent",
    "attach",
    "check_databases",
    "derived",
    "detach",
    "diagnose_database",
    "diff_databases",
    "explain",
    "export_bag",
    "export_dataset",
    "export_run",
    "inspect_database",
    "install",
    "load_profile",
    "make_page",
    "mapped",
    "migrate_database",
    "migrate_in_place",
    "neutral",
    "open_landscape",
    "plan_alembic",
    "renamed",
    "reset_database",
    "uninstall",
    "verify_bag",
    "verify_dataset",
    "verify_migration",
    "wrap",
    "write_page",
]


def __getattr__(name: str) -> Any:
    """Import a public name's module when the name is first used: importing costs nothing."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
