"""`export` writes what is stored, read-only, and never leaves half of it."""

from __future__ import annotations

import gc
import json
import sqlite3
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.errors import ExitCode
from landscape_compat.export.records.stream import export_database, export_run
from landscape_compat.landscape.database import open_landscape
from landscape_compat.landscape.history import known_shapes
from support.commands import Run
from support.legacy import Written, build_small
from support.untouched import untouched
from test_legacy_generator import example


@pytest.fixture
def run_ids(legacy: Written) -> list[str]:
    with open_landscape(legacy.path) as db, db.connection() as connection:
        found = connection.exec_driver_sql("SELECT run_id FROM runs").scalars()
        return list(found)


pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.split("\n") if line]


def predicate_in(bag: Path) -> dict[str, Any]:
    statement = json.loads((bag / "metadata" / "export.intoto.json").read_bytes())
    predicate: dict[str, Any] = statement["predicate"]
    return predicate


def test_to_a_folder(run: Run, legacy: Written, tmp_path: Path) -> None:
    """All records and a statement that explains them are written, and summed up."""
    with untouched(legacy.path):
        outcome = run("export", legacy.path, "-o", tmp_path / "out")
        with open_landscape(legacy.path) as db:
            records = json.loads(json.dumps(list(export_database(db))))
    assert outcome.code == ExitCode.DONE
    assert lines((tmp_path / "out" / "data" / "records.jsonl").read_text("utf-8")) == records
    predicate = predicate_in(tmp_path / "out")
    assert predicate["records"] == len(records)
    assert predicate["sources"][0]["degraded"] is True
    assert f"all {len(records)}".split() in [line.split() for line in outcome.out.splitlines()]
    assert "warning: tokens: not stored as declared: run_id (derived)" in outcome.err


def test_the_collector_of_a_program_that_calls_it_is_left_as_it_was(
    run: Run, legacy: Written, tmp_path: Path
) -> None:
    before = gc.get_threshold()
    for code in (ExitCode.DONE, ExitCode.OPERATIONAL):
        assert run("export", legacy.path, "-o", tmp_path / "out").code == code
        assert gc.get_threshold() == before


def test_to_standard_output(run: Run, legacy: Written, run_ids: list[str]) -> None:
    """One run as JSON lines, and nothing else on standard output."""
    with untouched(legacy.path):
        outcome = run("export", legacy.path, "-o", "-", "--run", run_ids[0])
        with open_landscape(legacy.path) as db:
            records = json.loads(json.dumps(list(export_run(db, run_ids[0]))))
    assert outcome.code == ExitCode.DONE
    assert lines(outcome.out) == records
    assert {record["record_type"] for record in records} > {"run", "node", "row", "token"}


def test_as_csv(run: Run, legacy: Written, tmp_path: Path) -> None:
    """CSV makes one file a record type, beside the JSON lines if both are asked for."""
    with untouched(legacy.path):
        outcome = run("export", legacy.path, "-o", tmp_path / "out", "--format", "csv,jsonl")
    assert outcome.code == ExitCode.DONE
    names = {path.name for path in (tmp_path / "out" / "data").iterdir()}
    assert names > {"records.jsonl", "records.schema.json", "run.csv", "token.csv"}
    (source,) = predicate_in(tmp_path / "out")["sources"]
    kinds = {table["record_type"] for table in source["tables"] if table["records"]}
    assert {f"{kind}.csv" for kind in kinds} <= names


def test_as_json(run: Run, legacy: Written, tmp_path: Path) -> None:
    """With --json the summary is one object: the place, and what the statement says."""
    result = run("export", legacy.path, "-o", tmp_path / "out", "--json", "-q").json
    assert (result["kind"], result["folder"]) == ("export", str(tmp_path / "out"))
    assert result["payload"][0]["name"] == "data/records.jsonl"
    assert sum(result["by_type"].values()) == result["records"]


def test_an_unknown_run_names_the_known_ones(
    run: Run, legacy: Written, run_ids: list[str], tmp_path: Path
) -> None:
    """A run of another database is an error that says which runs there are."""
    for output in (tmp_path / "out", "-"):
        outcome = run("export", legacy.path, "-o", output, "--run", "another", "-q")
        assert (outcome.code, outcome.out) == (ExitCode.OPERATIONAL, "")
        assert run_ids[0] in outcome.err
        assert outcome.err.partition(" holds: ")[2].partition(" and 1 more.")[0].count(", ") == 4
        assert len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_database_without_runs_says_so(run: Run, tmp_path: Path) -> None:
    """Its records are exported all the same, and that they belong to none is told."""
    example().build(tmp_path / "audit.db")
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection, connection:
        connection.execute("DELETE FROM runs")
    unknown = run("export", tmp_path / "audit.db", "-o", "-", "--run", "a", "-q")
    assert unknown.code == ExitCode.OPERATIONAL
    assert "This database holds no run at all" in unknown.err
    outcome = run("export", tmp_path / "audit.db", "-o", tmp_path / "out")
    assert outcome.code == ExitCode.DONE
    assert "15 of the records of the type row belong to no run that is stored." in outcome.err


def test_runs_are_chosen_by_status_and_time(run: Run, tmp_path: Path) -> None:
    """Those of two statuses, and those that began from one moment on or before another."""
    first, second, third, fourth = example().build(tmp_path / "audit.db")

    def chosen(*words: str) -> list[object]:
        outcome = run("export", tmp_path / "audit.db", "-q", "-o", "-", "--table", "runs", *words)
        return [record["run_id"] for record in lines(outcome.out)]

    assert chosen() == [first, second, third, fourth]
    assert chosen("--status", "failed") == [third]
    assert chosen("--status", "failed", "--status", "running") == [third, fourth]
    assert chosen("--since", "2026-01-18T11:30") == [second, third, fourth]
    assert chosen("--until", "2026-01-18T11:30") == [first]


def test_who_chose_no_status_or_time_was_told_to_give_a_run(run: Run, tmp_path: Path) -> None:
    """The statuses that are stored, and when runs began, are what can be chosen."""
    example().build(tmp_path / "audit.db")
    words = ("export", tmp_path / "audit.db", "-q", "-o", "-")
    for choice in (("--status", "none"), ("--since", "2999-01-01"), ("--until", "1999-01-01")):
        told = run(*words, *choice)
        assert (told.code, told.out) == (ExitCode.OPERATIONAL, "")
        assert told.err.endswith(
            "Remedy: Choose others; stored are runs of the status completed, failed, running and "
            "begun from 2026-01-18 09:30:00.007956 to 2026-01-18 15:30:00.007956.\n"
        )
    with closing(sqlite3.connect(tmp_path / "bare.db")) as connection, connection:
        connection.execute("CREATE TABLE runs (run_id TEXT PRIMARY KEY, status TEXT)")
        connection.execute("INSERT INTO runs VALUES ('r1', NULL)")
    bare = run("export", tmp_path / "bare.db", "-q", "-o", "-", "--status", "none")
    assert "choose by their ids" in bare.err
    with closing(sqlite3.connect(tmp_path / "bare.db")) as connection, connection:
        connection.execute("ALTER TABLE runs DROP COLUMN status")
        connection.execute("ALTER TABLE runs ADD COLUMN started_at TEXT")
        connection.execute("UPDATE runs SET started_at = '2026-01-18 09:30:00.000000'")
    bare = run("export", tmp_path / "bare.db", "-q", "-o", "-", "--since", "2999-01-01")
    assert "stored are runs begun from 2026-01-18 09:30:00.000000 to 2026" in bare.err
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection, connection:
        connection.execute("DELETE FROM runs")
    assert "This database holds no run at all" in run(*words, "--status", "none").err


def test_tables_that_can_be_named_were_called_those_of_the_database(
    run: Run, legacy: Written
) -> None:
    """Among them are tables that only a later one has."""
    told = run("export", legacy.path, "-q", "-o", "-", "--table", "none").err
    assert " Remedy: Tables that can be named: " in told
    assert " operations, " in told


def test_a_stream_and_a_file_are_written_as_asked_for(run: Run, tmp_path: Path) -> None:
    """In the order, and with what stands for what is not stored."""
    example().build(tmp_path / "audit.db")
    file = tmp_path / "records.jsonl"
    words = ("export", tmp_path / "audit.db", "-q", "--order", "table", "--absent", "mark")
    streamed = run(*words, "--filled", "-o", "-").out
    assert run(*words, "--filled", "-o", file).code == ExitCode.DONE
    assert file.read_text(encoding="utf-8") == streamed
    records = lines(streamed)
    kinds = [record["record_type"] for record in records]
    assert len([*groupby(kinds)]) == len(set(kinds))
    token = next(record for record in records if record["record_type"] == "token")
    assert token["absent.expand_group_id"] is True
    assert token["filled.derived.run_id"]
    assert run(*words, "-o", file).code == ExitCode.OPERATIONAL
    assert run(*words, "-o", file, "--force").code == ExitCode.DONE
    assert file.read_text(encoding="utf-8") != streamed


def test_what_exists_is_not_overwritten(run: Run, legacy: Written, tmp_path: Path) -> None:
    """An output that exists is refused; --force replaces an earlier export and nothing else."""
    out = tmp_path / "out"
    assert run("export", legacy.path, "-o", out, "-q").code == ExitCode.DONE
    before = (out / "data" / "records.jsonl").stat().st_ino
    refused = run("export", legacy.path, "-o", out, "-q")
    assert refused.code == ExitCode.OPERATIONAL
    assert "exists already" in refused.err
    assert (out / "data" / "records.jsonl").stat().st_ino == before
    assert run("export", legacy.path, "-o", out, "-q", "--force").code == ExitCode.DONE
    assert (out / "data" / "records.jsonl").stat().st_ino != before
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("keep me")
    assert run("export", legacy.path, "-o", foreign, "-q", "--force").code == ExitCode.OPERATIONAL
    assert (foreign / "letter.txt").read_text() == "keep me"


def test_an_output_that_cannot_be_written(run: Run, legacy: Written, tmp_path: Path) -> None:
    """A folder that is not there is told before anything is read."""
    outcome = run("export", legacy.path, "-o", tmp_path / "nowhere" / "out", "-q")
    assert outcome.code == ExitCode.OPERATIONAL
    assert "cannot be written" in outcome.err


def test_a_file_of_csv_that_was_asked_for_became_a_folder_of_json_lines(
    run: Run, legacy: Written, tmp_path: Path
) -> None:
    for name in ("runs.csv", "all.parquet", "all.sqlite"):
        told = run("export", legacy.path, "-o", tmp_path / name)
        assert told.code == ExitCode.USAGE
        assert "give a folder's name, and --format" in told.err
    assert [*tmp_path.iterdir()] == [legacy.path.parent]
    assert run("export", legacy.path, "-o", f"{tmp_path}/a folder.csv/").code == ExitCode.DONE


def test_a_key_file_without_a_name_for_the_key_made_an_unsigned_bag(
    run: Run, legacy: Written, tmp_path: Path
) -> None:
    """As if a signed one had not been asked for."""
    (tmp_path / "key").write_text("secret\n")
    for place in (("-o", tmp_path / "x"), ("-o", "-"), ("--dataset", tmp_path / "x")):
        told = run("export", legacy.path, *place, "--key-file", tmp_path / "key")
        assert (told.code, told.out) == (ExitCode.USAGE, "")
        assert told.err == "landscape-compat: --key-file belongs to --sign.\n"
    assert not (tmp_path / "x").exists()


def test_a_name_that_ends_in_capitals_became_a_folder(
    run: Run, legacy: Written, tmp_path: Path
) -> None:
    for name in ("BAG.ZIP", "RECORDS.JSONL", "RECORDS.Json.GZ"):
        assert run("export", legacy.path, "-q", "-o", tmp_path / name).code == ExitCode.DONE
        assert (tmp_path / name).is_file()
    assert run("verify", tmp_path / "BAG.ZIP").code == ExitCode.DONE
    assert run("export", legacy.path, "-o", tmp_path / "X.CSV").code == ExitCode.USAGE


def test_usage(run: Run, legacy: Written, tmp_path: Path) -> None:
    """Contradictions are usage errors, told before the database is opened."""
    with untouched(legacy.path):
        for words in (
            ("-o", "-", "--format", "csv"),
            ("-o", "-", "--json"),
            ("-o", tmp_path / "x", "--format", "nonsense"),
            ("-o", tmp_path / "x", "--run", "a", "--all"),
            ("-o", tmp_path / "x", "--since", "yesterday"),
            ("-o", tmp_path / "x", "--format", "csv", "--sign", "key-1"),
            ("-o", "-", "--format", "jsonl.gz"),
            ("-o", "-", "--sign", "key-1"),
            ("-o", "-", "--ssh-key", "key"),
            ("-o", "-", "--pem-key", "key"),
            ("-o", "-", "--force"),
            ("-o", tmp_path / "x.jsonl", "--format", "json"),
            ("-o", "-", legacy.path),
        ):
            assert run("export", legacy.path, *words).code == ExitCode.USAGE


def test_strict(run: Run, legacy: Written, tmp_path: Path) -> None:
    """--strict exports all the same, and exits with 5 if something is missing."""
    assert run("export", legacy.path, "-o", tmp_path / "out", "-q", "--strict").code == 5
    assert (tmp_path / "out" / "data" / "records.jsonl").stat().st_size
    current = build_small(tmp_path / "current.db", known_shapes()[-1].shape)
    assert run("export", current.path, "-o", tmp_path / "current", "-q", "--strict").code == 0


def test_quiet(run: Run, legacy: Written, tmp_path: Path) -> None:
    """-q says nothing but errors."""
    assert run("export", legacy.path, "-o", tmp_path / "out", "-q").err == ""


def test_all_options_at_once(run: Run, legacy: Written, run_ids: list[str], tmp_path: Path) -> None:
    """What is asked for is what the statement says was asked for; and it verifies."""
    with untouched(legacy.path):
        outcome = run(
            *("export", legacy.path, legacy.path, "-o", tmp_path / "bag.zip", "-q"),
            *("--run", run_ids[0], "--run", run_ids[1], "--since", "1999-01-01"),
            *("--table", "rows", "--table", "tokens", "--order", "table"),
            *("--format", "jsonl.gz,csv.zst,sqlite", "--absent", "mark", "--filled", "--json"),
        )
    assert outcome.code == ExitCode.DONE, outcome.err
    said = outcome.json
    assert said["selection"]["runs"] == run_ids[:2]
    assert said["selection"]["since"] == "1999-01-01T00:00:00+00:00"
    assert (said["order"], said["absent"], said["filled"]) == ("table", "mark", True)
    assert set(said["by_type"]) == {"row", "token"}
    assert [source["place"] for source in said["sources"]] == ["data/001-audit", "data/002-audit"]
    sources = ("--source", legacy.path, "--source", legacy.path)
    verified = run("verify", tmp_path / "bag.zip", *sources)
    assert verified.code == ExitCode.DONE, verified.out


def test_a_json_array_on_standard_output(run: Run, legacy: Written) -> None:
    """It is what JSON lines are, in brackets."""
    array = run("export", legacy.path, "-o", "-", "--format", "json")
    assert json.loads(array.out) == lines(run("export", legacy.path, "-o", "-").out)


def test_the_key_comes_from_the_environment_or_a_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one, nothing is written."""
    example().build(tmp_path / "audit.db")
    words = ("export", tmp_path / "audit.db", "-q", "--sign", "key-1", "-o")
    monkeypatch.delenv("ELSPETH_SIGNING_KEY", raising=False)
    assert run(*words, tmp_path / "none").code == ExitCode.OPERATIONAL
    assert not (tmp_path / "none").exists()
    (tmp_path / "key").write_text("secret\n")
    assert run(*words, tmp_path / "by-file", "--key-file", tmp_path / "key").code == ExitCode.DONE
    monkeypatch.setenv("ELSPETH_SIGNING_KEY", "secret")
    assert run(*words, tmp_path / "by-environment").code == ExitCode.DONE
    for name in ("by-file", "by-environment"):
        verified = run("verify", tmp_path / name)
        assert verified.code == ExitCode.DONE
        assert "by key-1" in verified.out
    monkeypatch.setenv("ELSPETH_SIGNING_KEY", "another")
    assert run("verify", tmp_path / "by-file").code == ExitCode.INTEGRITY


def test_a_dataset(run: Run, legacy: Written, run_ids: list[str], tmp_path: Path) -> None:
    """Parquet by run, told as JSON or as a table; only an earlier one is replaced, if asked to."""
    pytest.importorskip("pyarrow")
    words = ("export", legacy.path, "--dataset", tmp_path / "ds")
    with untouched(legacy.path):
        made = run(*words, "--run", run_ids[0], "--json", "--absent", "mark", "--format", "parquet")
    assert made.code == ExitCode.DONE, made.err
    assert made.json["kind"] == "dataset"
    assert made.json["selection"]["runs"] == [run_ids[0]]
    assert {file["run"] for file in made.json["files"]} == {run_ids[0]}
    assert sum(made.json["by_type"].values()) == made.json["records"]
    assert made.err.count("warning: tokens: not stored as declared") == 1
    taken = run(*words)
    assert taken.code == ExitCode.OPERATIONAL
    assert "holds a dataset already" in taken.err
    again = run(*words, "--force", "-q")
    assert again.code == ExitCode.DONE
    assert f"written to {tmp_path / 'ds'}" in again.out
    unknown = run(*words, "--force", "--run", "nobody")
    assert unknown.code == ExitCode.OPERATIONAL
    assert run_ids[0] in unknown.err
    assert (tmp_path / "ds" / "_landscape" / "dataset.json").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("-o", "bag"),
        ("--format", "csv"),
        ("--format", "parquet,jsonl"),
        ("--sign", "key"),
        ("--ssh-key", "key"),
        ("--order", "table"),
        ("another.db",),
        ("--jobs", "0"),
    ],
)
def test_what_does_not_go_with_a_dataset(
    run: Run, legacy: Written, tmp_path: Path, words: tuple[str, ...]
) -> None:
    try:
        code = run("export", legacy.path, *words, "--dataset", tmp_path / "ds").code
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == ExitCode.USAGE
    assert not (tmp_path / "ds").exists()
