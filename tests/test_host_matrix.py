"""The matrix tells a whole cell from one that lost, invented, changed or touched something."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from host_matrix import hosts_in
from support.host_result import Cell, Host, compare, compared
from support.host_table import document

RUN: dict[str, Any] = {"record_type": "run", "run_id": "r", "status": "completed"}
TOKEN = {"record_type": "token", "run_id": "r", "token_id": "t", "row_id": "w"}
NODE: dict[str, Any] = {"record_type": "node", "run_id": "r", "node_id": "n", "config": {"a": 1}}
MANIFEST = {"record_type": "manifest", "run_id": "r", "final_hash": "1"}
KNOWN = {"run", "token", "node", "manifest"}
HOST = Host("host", Path("host"), Path("python"))


def cell(shimmed: bool = True, name: str = "audit", **result: Any) -> Cell:
    return Cell(HOST, Path("built", f"{name}.db"), shimmed, result)


def exported(*records: dict[str, Any], **fills: str) -> dict[str, Any]:
    return {"records": list(records), "fills": fills}


def test_equal_values_are_counted_and_a_manifest_is_not_compared() -> None:
    expected, own = [RUN, TOKEN, MANIFEST], [RUN, TOKEN, {**MANIFEST, "final_hash": "2"}]
    found = compare(expected, own, KNOWN, {})
    assert found.equal == len(RUN) + len(TOKEN)
    counts = (found.mapped, found.different, found.lost, found.extra, found.unknown)
    assert not any(counts)


def test_a_field_that_only_one_side_knows_is_not_compared() -> None:
    found = compare([{**RUN, "old": 1}], [{**RUN, "new": 2}], KNOWN, {})
    assert (found.equal, found.different) == (len(RUN), Counter())


def test_a_raw_row_is_compared_unless_the_own_build_withheld_it() -> None:
    own = {"record_type": "transform_error", "error_id": "e", "row_data_json": "{}"}
    withheld = compare([{**own, "row_data_json": None}], [own], {"transform_error"}, {})
    assert (withheld.equal, withheld.different) == (len(own) - 1, Counter())
    other = compare([{**own, "row_data_json": "[]"}], [own], {"transform_error"}, {})
    assert other.different == Counter({"transform_error.row_data_json": 1})


def test_a_missing_record_is_lost_and_one_of_a_type_never_exported_is_unknown() -> None:
    found = compare([RUN, TOKEN, NODE], [RUN], {"run", "token"}, {})
    assert (found.lost, found.unknown) == (Counter(token=1), Counter(node=1))


def test_a_record_too_many_is_extra_where_the_own_build_exports_its_type() -> None:
    found = compare([RUN, TOKEN], [RUN, TOKEN, {**TOKEN, "token_id": "u"}, NODE], KNOWN, {})
    assert found.extra == Counter(token=1)


def test_another_value_is_mapped_only_if_a_rule_fills_the_column_it_comes_from() -> None:
    own = [{**RUN, "status": "empty"}, {**NODE, "config": {}}]
    found = compare([RUN, NODE], own, KNOWN, {"runs.status": "mapped"})
    assert found.mapped == Counter({"runs.status (mapped)": 1})
    assert found.different == Counter({"node.config": 1})
    found = compare([NODE], own[1:], KNOWN, {"nodes.config_json": "neutral"})
    assert found.mapped == Counter({"nodes.config_json (neutral)": 1})


@pytest.mark.parametrize(
    ("result", "outcome", "problem"),
    [
        ({"export": exported(RUN)}, "whole", None),
        ({"export": exported(RUN), "changed": True}, "partly", "the file was changed"),
        ({"export": exported(RUN), "left_behind": ["audit.db-shm"]}, "partly", "audit.db-shm"),
        ({"export": exported(RUN), "explain": {"token": {"none": 2}}}, "partly", "2 tokens none"),
        (
            {"export": exported(RUN), "analyser": {"errors": {"t": {"type": "E", "message": "m"}}}},
            "partly",
            "analyser's t: E: m",
        ),
        ({"export": {"error": {"type": "E", "message": "m"}}}, "fails", "export: E: m"),
        (
            {"export": {"error": {"type": "E", "message": "m", "typed": "yes"}}},
            "refused",
            "refused: m",
        ),
        ({"failure": {"type": "Process", "message": "m"}}, "fails", "process: Process: m"),
    ],
)
def test_a_cell_is_whole_only_without_a_problem(
    result: dict[str, Any], outcome: str, problem: str | None
) -> None:
    found = cell(**result)
    assert found.outcome == outcome
    assert (problem is None) is (not found.problems)
    assert problem is None or problem in "; ".join(found.problems)


def test_sidecars_are_the_hosts_own_only_where_the_shim_did_not_open() -> None:
    left = ["audit.db-shm"]
    host_opened, we_opened = ({**exported(RUN), "attached": it} for it in (False, True))
    assert cell(True, export=host_opened, left_behind=left).outcome == "whole"
    assert cell(True, export=we_opened, left_behind=left).outcome == "partly"
    assert cell(True, export=exported(RUN), left_behind=left).outcome == "partly"
    assert cell(False, export=host_opened, left_behind=left).outcome == "partly"


def test_what_a_version_exports_in_one_cell_is_lost_where_another_lacks_it(tmp_path: Path) -> None:
    database = tmp_path / "built" / "audit.db"
    database.parent.mkdir()
    lines = '{"record_type": "run", "run_id": "r"}\n{"record_type": "token", "token_id": "t"}\n'
    database.with_suffix(".expected.jsonl").write_text(lines)
    poor, rich = exported(RUN), exported(RUN, TOKEN)
    cells = [Cell(HOST, database, False, {"export": rich})]
    cells.append(Cell(HOST, database, True, {"export": poor}))
    native, shimmed = compared(cells)
    assert native.outcome == "whole"
    assert shimmed.problems == ("records lost: token 1",)


def test_the_document_names_the_rules_and_the_reason_of_what_is_not_whole() -> None:
    whole = cell(export=exported(RUN, **{"runs.status": "mapped", "runs.new": "absent"}))
    refused = {"error": {"type": "UnreadableError", "message": "no | way", "typed": "yes"}}
    text = document([cell(False, export=refused), whole, cell(True, "other", export=refused)])
    assert "| 1 | `runs.status (mapped)` |" in text
    assert "columns 1" in text
    assert "| export: refused: no \\| way | host on built 1 |" in text


def test_checkouts_are_found_oldest_first_each_with_its_interpreter(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name / "src" / "elspeth").mkdir(parents=True)
        (tmp_path / name / "pyproject.toml").write_text("")
    (tmp_path / "no checkout").mkdir()
    os.utime(tmp_path / "old" / "pyproject.toml", (1, 1))
    (tmp_path / "old" / "python").write_text("/some/python\n")
    found = hosts_in(tmp_path)
    assert [host.name for host in found] == ["old", "new"]
    assert found[0].python == Path("/some/python")
