"""A whole page, put together of its sections."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from landscape_compat.engine.classify import resolve
from landscape_compat.engine.digests import digest_source
from landscape_compat.engine.report import SchemaReport
from landscape_compat.engine.source import source_of
from landscape_compat.errors import OutputError, printable
from landscape_compat.export.files import WrittenFile, cannot_write
from landscape_compat.export.page import sections
from landscape_compat.export.page.facts import PageFacts, gather
from landscape_compat.export.page.graphs import lineage_section, run_section
from landscape_compat.export.page.markup import Markup, tag
from landscape_compat.landscape.database import Landscape

__all__ = ["make_page", "write_page"]


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
    _check_place(final, force=force)
    page = make_page(db, run_id=run_id, row_id=row_id, digests=_digests(db))
    partial = final.with_name(f".{final.name}.partial-{secrets.token_hex(4)}")
    try:
        written = WrittenFile(partial)
        written.write(page.encode())
        written.close()
        _check_place(final, force=force)
        partial.replace(final)
    except OSError as error:
        raise cannot_write(final, error) from error
    finally:
        partial.unlink(missing_ok=True)
    return final


def _check_place(final: Path, *, force: bool) -> None:
    if not os.path.lexists(final):
        return
    if not force:
        raise OutputError(
            f"{printable(final)} exists already, and was left as it is.",
            remedy="Give another place, or say that a file there may be replaced.",
        )
    if final.is_symlink() or not final.is_file():
        raise OutputError(
            f"{printable(final)} is no plain file, so it was not replaced.",
            remedy="Give another place, or move away what is there.",
        )


def _digests(db: Landscape) -> dict[str, str]:
    dialect = db.engine.dialect
    if dialect.name != "sqlite":
        return {}
    arguments, keywords = dialect.create_connect_args(db.engine.url)
    opened = source_of(arguments, keywords).path
    assert opened is not None  # the shim leaves a database in memory alone
    path = resolve(opened)
    found = digest_source(path)
    named = {"": found.database, "-wal": found.wal, "-journal": found.journal}
    return {f"{path.name}{suffix}": digest for suffix, digest in named.items() if digest}


def _page(facts: PageFacts, made_at: datetime) -> str:
    style = Markup(resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8"))
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    name = Path(facts.report.database).name
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
        "Database": tag("code", report.database),
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
