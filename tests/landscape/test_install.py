"""The shim is installed before or after the host is imported, and removed without a trace."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from landscape_compat import install, uninstall
from landscape_compat.errors import AttachError
from landscape_compat.landscape.host import DATABASE_MODULE
from support.hosts import OLD, Place, build_record, url_of

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def test_before_and_after_the_import(place: Place, tmp_path: Path) -> None:
    """Installed first, or last, names that were imported earlier are those that are wrapped."""
    written = build_record(tmp_path / "record", OLD)
    for order in ("before", "after"):
        host = place("rc2")
        if order == "before":
            install()
            name = importlib.import_module("elspeth.core.landscape").LandscapeDB
        else:
            name = importlib.import_module("elspeth.core.landscape").LandscapeDB
            install()
        with name.from_url(url_of(written.path), create_tables=False) as db:
            assert len(host.read(db)) == len(written.tables["tokens"].rows)
        uninstall()


def test_it_leaves_no_trace(place: Place) -> None:
    """Afterwards the host's classes hold the very objects they held, and imports are as before."""
    host = place("newest")
    finders = list(sys.meta_path)
    names = {
        "core.landscape.database": "LandscapeDB",
        "core.landscape.exporter": "LandscapeExporter",
    }
    names |= {"core.retention.purge": "PurgeManager", "engine.orchestrator": "Orchestrator"}
    classes = [getattr(host.load(module), name) for module, name in names.items()]
    before = [dict(vars(kind)) for kind in classes]
    install()
    install()
    for kind, held in zip(classes, before, strict=True):
        assert any(vars(kind)[name] is not value for name, value in held.items())
    uninstall()
    uninstall()
    for kind, held in zip(classes, before, strict=True):
        assert list(vars(kind)) == list(held)
        assert all(vars(kind)[name] is value for name, value in held.items())
    assert sys.meta_path == finders


def test_installed_again_it_watches_again(place: Place, tmp_path: Path) -> None:
    """Installed, removed and installed again, a host that is imported then is wrapped."""
    written = build_record(tmp_path / "record", OLD)
    install()
    host = place("rc2")
    host.load()
    uninstall()
    install()
    other = place("passphrase")
    with other.db.from_url(url_of(written.path), create_tables=False) as db:
        assert len(other.read(db)) == len(written.tables["tokens"].rows)


def test_another_posture_is_refused(place: Place) -> None:
    """Installed with one posture, it is not installed with another beside it."""
    place("rc2")
    install()
    with pytest.raises(AttachError, match="posture 'degrade'"):
        install(posture="refuse")
    with pytest.raises(AttachError, match="no posture 'mend'"):
        install(posture="mend")  # type: ignore[arg-type]
    uninstall()
    install(posture="refuse")


@pytest.mark.usefixtures("leave_no_shim")
def test_a_strange_host_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host of no known kind is left as it is, that is said, and nothing is installed."""
    monkeypatch.setitem(sys.modules, DATABASE_MODULE, ModuleType(DATABASE_MODULE))
    finders = list(sys.meta_path)
    with pytest.raises(AttachError, match="no class LandscapeDB"):
        install()
    assert sys.meta_path == finders
    monkeypatch.delitem(sys.modules, DATABASE_MODULE)
    install(posture="refuse")


def test_a_strange_host_is_told_when_it_is_imported(place: Place) -> None:
    """Installed before, the error comes with the import, and the next import says it again."""
    host = place("rc2")
    database = host.folder / "elspeth" / "core" / "landscape" / "database.py"
    database.write_text("LandscapeDB = None\n")
    install()
    for _ in range(2):
        with pytest.raises(AttachError, match="no class LandscapeDB"):
            host.load()


def test_what_was_taken_before_it_was_removed_is_the_hosts_afterwards(
    place: Place, tmp_path: Path
) -> None:
    """A method that somebody holds stays wrapped, and does then what the host does."""
    written = build_record(tmp_path / "record", OLD)
    host = place("passphrase")
    install()
    opened = host.db.from_url
    opened(url_of(written.path), create_tables=False).close()
    uninstall()
    with pytest.raises(host.load().SchemaCompatibilityError, match="outdated"):
        opened(url_of(written.path), create_tables=False)


def test_nothing_is_wrapped_of_a_host_that_lacks_it(tmp_path: Path, place: Place) -> None:
    """An exporter, a purge or an orchestrator of another kind is left as it is, and not asked."""
    host = place("rc2")
    lazy = "\n\ndef __getattr__(name): raise ImportError(name)\n"
    modules = (
        "core.landscape.exporter",
        "core.retention.purge",
        "engine.orchestrator",
        "contracts.contract_records",
    )
    for module in modules:
        (host.folder / "elspeth" / f"{module.replace('.', '/')}.py").write_text(
            f"LandscapeExporter = PurgeManager = ContractAuditRecord = None{lazy}"
        )
    install()
    for module in modules:
        host.load(module)
