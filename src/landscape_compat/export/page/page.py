"""A whole page, put together of its sections."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from landscape_compat.engine.report import SchemaReport
from landscape_compat.export.bag.witness import state_of_source
from landscape_compat.export.output.files import WrittenFile
from landscape_compat.export.output.placing import made_beside
from landscape_compat.export.page import sections
from landscape_compat.export.page.facts import PageFacts, gather
from landscape_compat.export.page.graphs import lineage_section, run_section
from landscape_compat.export.page.markup import Markup, tag
from landscape_compat.landscape.database import Landscape

__all__ = ["make_page", "write_page"]

_BEGINNING = '<!doctype html>\n<html lang="en">'


def make_page(
    db: Landscape,
    *,
    run_id: str | None = None,
    row_id: str | None = None,
    digests: Mapping[str, str] | None = None,
    made_at: datetime | None = None,
) -> str:
    """Make one page of HTML about a database: what it is, lacks and holds, and one run of it.

    The page is complete in itself: it loads nothing, runs no script, and says to the browser
    that it may not. Whatever comes from the database is escaped.

    Args:
        db: The database.
        run_id: The run whose pipeline is drawn; the latest if not given.
        row_id: The row whose way is drawn; that of the run with the most tokens if not given.
        digests: The SHA-256 of each of the database's files, by name.
        made_at: When the page is made; now if not given.

    Raises:
        RunNotFoundError: The database holds no such run.
        LandscapeCompatError: The run holds no such row.
    """
    facts = gather(db, run_id=run_id, row_id=row_id, digests=digests)
    return _page(facts, made_at or datetime.now(UTC))


def write_page(
    db: Landscape,
    file: str | os.PathLike[str],
    *,
    run_id: str | None = None,
    row_id: str | None = None,
    force: bool = False,
) -> Path:
    """Write one page of HTML about a database to a file, with the digests of the database.

    Args:
        db: The database.
        file: The file to make. The folder that it is in must exist.
        run_id: The run whose pipeline is drawn; the latest if not given.
        row_id: The row whose way is drawn; that of the run with the most tokens if not given.
        force: Whether to replace a file in that place.

    Returns:
        The file.

    Raises:
        RunNotFoundError: The database holds no such run.
        LandscapeCompatError: The run holds no such row.
        OutputError: The place is taken, or cannot be written to.
    """
    final = Path(file).absolute()
    with made_beside(final, force=force, is_ours=_is_page, what="a page") as partial:
        page = make_page(db, run_id=run_id, row_id=row_id, digests=state_of_source(db).digests)
        written = WrittenFile(partial)
        try:
            written.write(page.encode())
        finally:
            written.close()
    return final


def _is_page(place: Path) -> bool:
    if not place.is_file():
        return False
    with place.open("rb") as file:
        return file.read(len(_BEGINNING)) == _BEGINNING.encode()


def _page(facts: PageFacts, made_at: datetime) -> str:
    style = Markup(resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8"))
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    name = _name(facts.report)
    parts = [
        part
        for part in (
            sections.identity(facts.report),
            sections.drift(facts.report),
            sections.counts(facts.counts),
            sections.digests(facts.digests),
            sections.runs(facts.runs),
            run_section(facts.graph) if facts.graph else None,
            lineage_section(facts.lineage, facts.graph.nodes)
            if facts.graph and facts.lineage
            else None,
        )
        if part is not None
    ]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{name}: audit database"),
        tag("style", style),
    )
    body = tag(
        "body",
        tag(
            "header", tag("h1", f"Audit database {name}"), _summary(facts.report), _contents(facts)
        ),
        tag("main", parts),
        tag(
            "footer",
            tag("hr"),
            tag(
                "p",
                f"Made on {made_at:%Y-%m-%d at %H:%M:%S} UTC by landscape-compat "
                f"{version('landscape-compat')}. The database was opened read-only, and was not "
                "changed.",
                class_="soft",
            ),
        ),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _name(report: SchemaReport) -> str:
    # A page is handed on; the folders of the machine that it was made on are nobody's affair.
    return Path(report.database).name if report.dialect == "sqlite" else report.database


def _summary(report: SchemaReport) -> Markup:
    said = "degraded" if report.degraded else "current"
    means = (
        "It is read-only here: code of the target's version would fail on it without help."
        if report.degraded
        else "Code of the target's version reads it by itself."
    )
    found = report.identification
    shapes = ", ".join(shape.name for shape in found.nearest) if found else ""
    pairs = {
        "Verdict": [tag("span", said, class_=f"verdict {said}"), f". {means}"],
        "Shape": f"{shapes or 'none known'} ({found.confidence if found else 'none'})",
        "Target": report.target,
        "Database": tag("code", _name(report)),
        "Opened": report.opened,
    }
    return tag("dl", [[tag("dt", term), tag("dd", value)] for term, value in pairs.items()])


def _contents(facts: PageFacts) -> Markup:
    links = {"what": "What it is", "drift": "What it lacks", "counts": "What it holds"}
    if facts.digests:
        links["digests"] = "Digests"
    links["runs"] = "Runs"
    if facts.graph:
        links["graph"] = "One run's pipeline"
        if facts.lineage:
            links["lineage"] = "One row's way"
    listed = [tag("li", tag("a", title, href=f"#{name}")) for name, title in links.items()]
    return tag("nav", tag("ul", listed), aria_label="Contents")
