"""A signed export is refused where its values are filled, and left alone elsewhere."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from landscape_compat import install, wrap
from landscape_compat.errors import WriteRefusedError
from support.host_eras import ERAS
from support.hosts import OLD, Place, build_record, url_of
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@pytest.mark.parametrize("era", ERAS)
def test_a_signed_export_is_refused_where_values_are_filled(
    place: Place, tmp_path: Path, era: str
) -> None:
    """No signature vouches for what is not stored; without one, and elsewhere, all is well."""
    written = build_record(tmp_path / "record", OLD)
    host = place(era)
    current = host.own(tmp_path / "current" / "audit.db")
    install()
    exporter = host.load("core.landscape.exporter").LandscapeExporter
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path), create_tables=False)
        exporting = exporter(db, signing_key=b"key")
        assert len(list(exporting.export_run("x"))) == len(written.tables["tokens"].rows)
        for call in (
            partial(exporting.export_run, "x", True),
            partial(exporting.export_run, run_id="x", sign=True),
        ):
            with pytest.raises(WriteRefusedError, match="a signature would vouch"):
                call()
        if not ERAS[era].final:  # one record, past what exports a run
            with pytest.raises(WriteRefusedError, match="a signature would vouch"):
                exporting._sign_record({"a": 1})
        db.close()
    with host.db.from_url(current) as db, host.db.in_memory() as memory:
        for opened in (db, wrap(memory)):
            if not ERAS[era].final:
                assert "vouches for 1 fields" in exporter(opened, b"key")._sign_record({"a": 1})
            assert list(exporter(opened, b"key").export_run("x", sign=True)) == []
    assert list(exporter.__init__.__code__.co_varnames)[:2] == ["self", "db"]
