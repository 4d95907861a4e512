"""Checking the statement of a bag: its form, and all that it says of the bag and of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from landscape_compat.errors import count_of
from landscape_compat.export.bag.bag import BAG_INFO, STATEMENT, bag_info
from landscape_compat.export.bag.predicate import PREDICATE, predicate_schema
from landscape_compat.export.verify.bag_files import BagFiles
from landscape_compat.export.verify.findings import Verification
from landscape_compat.export.verify.form import differences_of_files, read_statement
from landscape_compat.export.verify.manifests import read_tag

__all__ = ["changes_of", "check_statement"]


def check_statement(
    bag: BagFiles, digests: Mapping[str, str], found: Verification
) -> dict[str, Any] | None:
    """Check the statement.

    Args:
        bag: The bag.
        digests: The SHA-256 of each file of the payload as it is.
        found: Takes what is wrong.

    Returns:
        Its predicate, if it has the form that the schema wants.
    """
    if STATEMENT not in bag.sizes:
        found.find(STATEMENT, "is missing")
        return None
    content = read_tag(bag, STATEMENT, found)
    if content is None:
        return None
    statement = read_statement(content, STATEMENT, PREDICATE, predicate_schema(), found)
    if statement is None:
        return None
    predicate: dict[str, Any] = statement["predicate"]
    info = read_tag(bag, BAG_INFO, found)
    for where, what in chain(
        differences_of_files(statement, STATEMENT, "payload", bag.sizes, digests.keys()),
        _contradictions(predicate, digests, info),
    ):
        found.find(where, what)
    return predicate


def _contradictions(
    predicate: Mapping[str, Any], digests: Mapping[str, str], info: bytes | None
) -> Iterator[tuple[str, str]]:
    """Compare what is stated with the digests and with itself."""
    payload = {file["name"]: file for file in predicate["payload"]}
    for name, file in payload.items():
        if digests.get(name, file["sha256"]) != file["sha256"]:
            yield name, f"its SHA-256 is {digests[name]}, and the statement says {file['sha256']}"
        if file["source"] >= len(predicate["sources"]):
            yield name, "is said to be of a source that the statement does not name"
    yield from _miscounts(predicate)
    for at, source in enumerate(predicate["sources"]):
        yield from changes_of(source, f"{STATEMENT} /predicate/sources/{at}")
    expected = bag_info(
        agent=predicate["tools"].get("landscape-compat", ""),
        date=predicate["exported_at"][:10],
        size=sum(file["bytes"] for file in payload.values()),
        files=len(payload),
        records=predicate["records"],
        sources=[source["name"] for source in predicate["sources"]],
    )
    if info != expected:
        yield BAG_INFO, "does not say what the statement says"


def _miscounts(predicate: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Compare the numbers of records that the statement gives with one another."""
    by_type = Counter[tuple[int, str]]()
    for at, source in enumerate(predicate["sources"]):
        for table in source["tables"]:
            by_type[at, table["record_type"]] += table["records"]
    if by_type.total() != predicate["records"]:
        yield (
            f"{STATEMENT} /predicate/records",
            f"says {predicate['records']}, and its tables have {by_type.total()} in all",
        )
    of_file = Counter[tuple[int, str]]()
    of_format = Counter[str]()
    for file in predicate["payload"]:
        if file["format"] == "schema":
            continue
        of_format[file["format"]] += file["records"]
        if file["record_type"] is not None:
            stated = by_type[file["source"], file["record_type"]]
            of_file[file["source"], file["record_type"]] += 1
            if file["records"] != stated:
                yield (
                    file["name"],
                    f"holds {count_of(file['records'], 'record')} by the statement, "
                    f"and the table had {stated} by it",
                )
    for format_, count in of_format.items():
        if count != predicate["records"]:
            held = count_of(count, "record")
            yield (
                f"{STATEMENT} /predicate/payload",
                f"the files of {format_} hold {held} by it, not {predicate['records']}",
            )


def changes_of(source: Mapping[str, Any], where: str) -> Iterator[tuple[str, str]]:
    """Tell whether a statement's own digests say that a database changed while it was read.

    Args:
        source: What the statement says of the database.
        where: The place of that.
    """
    before, after = (
        [file for file in source[when] if file["sha256"] is not None]
        for when in ("files_before", "files_after")
    )
    if before != after:
        yield where, f"{source['name']} was not the same before and after it was read"
