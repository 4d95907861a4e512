"""A page about a database on a server shows what one about a file shows."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from landscape_compat import make_page, open_landscape
from landscape_compat.landscape.history import shape_named
from support.legacy import build_shape
from support.postgres import READER, PostgresDatabase
from support.postgres_landscape import copy_landscape

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def test_a_page_about_a_server_s_database(
    postgres: PostgresDatabase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its shape, its drift, its counts, a pipeline and a row's way, and no password."""
    known = shape_named("2026-01-18/df2fa70fb")
    path = tmp_path_factory.mktemp("file") / "audit.db"
    written = build_shape(path, known.shape, rows=4, runs=4, long_text=False)
    copy_landscape(written, known, postgres)
    with open_landscape(postgres.url(user=READER)) as db:
        text = make_page(db)
    root = ElementTree.fromstring(text.removeprefix("<!doctype html>\n"))
    names = [element.get("aria-labelledby") for element in root.iter("section")]
    assert names == ["what", "drift", "counts", "runs", "graph", "lineage"]
    assert f"exactly those of {known.name}" in text
    rows = sum(len(table.rows) for table in written.tables.values())
    assert f'<td class="number">{rows:,}</td>' in text
