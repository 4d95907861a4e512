"""A bag verifies as it was made; whatever is changed in it afterwards is named."""

from __future__ import annotations

import sqlite3
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import pytest

from landscape_compat.errors import LandscapeCompatError, OutputError, UnreadableError
from landscape_compat.export.formats.readback import READERS
from landscape_compat.export.verify.findings import Verification
from landscape_compat.export.verify.manifests import check_manifests
from landscape_compat.export.verify.verify import verify_bag
from landscape_compat.export.whole import export_bag
from landscape_compat.landscape.database import open_landscape
from support.bags import STATEMENT, forge, names_in, seal
from support.legacy import Written
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Give a bag of a database of one table and two rows."""
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        connection.execute("CREATE TABLE runs (run_id TEXT PRIMARY KEY, status TEXT)")
        connection.execute("INSERT INTO runs VALUES ('r1', 'completed'), ('r2', NULL)")
        connection.commit()
    with untouched(tmp_path / "audit.db"), open_landscape(tmp_path / "audit.db") as db:
        place = tmp_path.parent / f"{tmp_path.name}-bag"
        export_bag(db, place, formats=("jsonl", "csv"), page=False)
    return tmp_path.parent / f"{tmp_path.name}-bag"


@pytest.fixture
def whole(legacy: Written, tmp_path: Path) -> Path:
    with open_landscape(legacy.path) as db:
        export_bag(db, tmp_path / "bag", formats=("jsonl", "csv"))
    return tmp_path / "bag"


def source_of(small: Path) -> Path:
    """Name the database that a small bag was made from."""
    return small.with_name(small.name.removesuffix("-bag")) / "audit.db"


def findings(bag: Path) -> list[str]:
    return [str(finding) for finding in verify_bag(bag).findings]


# As it was made ---------------------------------------------------------------------------


def test_a_bag_is_sound_as_it_was_made(whole: Path, legacy: Written) -> None:
    with untouched(legacy.path):
        found = verify_bag(whole, sources=[legacy.path])
    assert (found.findings, found.unchecked) == (
        [],
        ["what metadata/page.html shows: it is drawn for people"],
    )
    rows = sum(len(table.rows) for table in legacy.tables.values())
    assert f"{2 * rows} records, read back and counted" in found.checked
    assert f"{rows} records of audit.db against the jsonl" in found.checked
    assert f"{rows} records of audit.db against the csv" in found.checked


def test_what_is_no_bag_is_an_error_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for name in ("nowhere", "file"):
        with pytest.raises(OutputError) as caught:
            verify_bag(tmp_path / name)
        assert caught.value.remedy
    assert len(findings(tmp_path)) > 3


# Altered ----------------------------------------------------------------------------------


class InMemory:
    """The files of a bag, of which one can be another for a moment."""

    def __init__(self, bag: Path) -> None:
        self.content = {name: (bag / name).read_bytes() for name in names_in(bag)}
        self.odd: Mapping[str, str] = {}
        self.container = ()

    @property
    def sizes(self) -> Mapping[str, int]:
        return {name: len(content) for name, content in self.content.items()}

    def open(self, name: str) -> IO[bytes]:
        return BytesIO(self.content[name])

    def local(self, name: str) -> AbstractContextManager[Path]:
        raise NotImplementedError


def flipped(content: bytes) -> Iterator[bytes]:
    """Give a content once for each byte of it, with another bit of that byte flipped each time."""
    for at in range(len(content)):
        yield content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1 :]


def test_every_single_byte_counts(small: Path) -> None:
    """Whichever byte is flipped, its file is named."""
    bag = InMemory(small)
    checked = 0
    for name, content in bag.content.items():
        for other in flipped(content):
            bag.content[name] = other
            found = Verification(small)
            check_manifests(bag, found)
            told = "\n".join(map(str, found.findings))
            assert name in told, (name, other)
            checked += 1
        bag.content[name] = content
    assert checked == sum(map(len, bag.content.values())) > 5000


def test_a_flipped_byte_is_found_on_the_disk(small: Path) -> None:
    """The whole verification names the file of a flipped byte, and ends well, wherever it is."""
    for name in names_in(small):
        content = (small / name).read_bytes()
        for other in list(flipped(content))[:: max(1, len(content) // 40)]:
            (small / name).write_bytes(other)
            assert any(name in text for text in findings(small)), (name, other)
        (small / name).write_bytes(content)
    assert findings(small) == []


def test_a_file_that_is_gone_is_named(small: Path, tmp_path: Path) -> None:
    for name in names_in(small):
        (small / name).rename(tmp_path / "aside")
        assert any(text.startswith(f"{name}: ") for text in findings(small)), name
        (tmp_path / "aside").rename(small / name)


@pytest.mark.parametrize(
    "name", ["data/more.jsonl", "more.txt", "metadata/more.json", "data/a/b", "manifest-md5.txt"]
)
def test_a_file_that_was_added_is_named(small: Path, name: str) -> None:
    (small / name).parent.mkdir(exist_ok=True)
    (small / name).write_bytes(b"")
    assert any(text.startswith(f"{name}: ") for text in findings(small))


@pytest.mark.parametrize(
    "name", ["manifest-sha512.txt", "tagmanifest-sha512.txt", "manifest-md5.txt", "fetch.txt"]
)
def test_what_other_tools_judge_a_bag_by_was_passed_over(small: Path, name: str) -> None:
    """Listed among the tag files, it said anything of the payload."""
    (small / name).write_text(f"{'0' * 128}  data/records.jsonl\n")
    seal(small)
    assert f"{name}: other tools judge a bag by it, and `export` writes none" in findings(small)


def test_a_file_that_export_does_not_write_is_told(small: Path) -> None:
    """Whoever keeps bags may add notes of his own to them."""
    (small / "metadata" / "notes.txt").write_text("kept since 2026")
    seal(small)
    found = verify_bag(small)
    assert found.is_sound
    assert "what metadata/notes.txt holds: `export` writes no such file" in found.unchecked


def test_what_was_not_compared_is_told(whole: Path) -> None:
    """Somebody else's page and database had been as good as the bag's own."""
    (whole / "metadata" / "page.html").write_text("<h1>All is well</h1>")
    seal(whole)
    assert verify_bag(whole).unchecked == [
        "what metadata/page.html shows: it is drawn for people",
        "what the databases hold: none was given (--source)",
    ]


def test_a_record_that_does_not_fit_into_memory_was_an_error_of_pythons(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: Any) -> Iterator[Mapping[str, Any]]:
        raise MemoryError
        yield {}

    monkeypatch.setitem(READERS, "jsonl", no_room)
    told = "data/records.jsonl: holds more in one record than this machine can"
    assert told in findings(small)


def test_a_symlink_is_no_file(small: Path, tmp_path: Path) -> None:
    target = small / "data" / "records.jsonl"
    target.rename(tmp_path / "elsewhere")
    target.symlink_to(tmp_path / "elsewhere")
    assert any("data/records.jsonl: is a symlink" in text for text in findings(small))


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_a_file_that_was_cut_or_grew_is_named(small: Path, cut: int) -> None:
    for name in names_in(small):
        content = (small / name).read_bytes()
        for other in {content[:cut], content + b"\n"} - {content}:
            (small / name).write_bytes(other)
            assert any(name in text for text in findings(small)), name
        (small / name).write_bytes(content)


@pytest.mark.parametrize(
    "line",
    [
        "{0}  ../audit.db\n",
        "{0}  /etc/passwd\n",
        "{0}  data/../../audit.db\n",
        "{0} *data/records.jsonl\n",
        "{0}  data/records.jsonl\r\n",
        "not a digest  data/records.jsonl\n",
        "\n",
        "{0}  data/\ud7ff\n",
        "{0}  data/records.jsonl\n",
    ],
)
def test_a_manifest_names_nothing_outside_of_the_bag(small: Path, line: str) -> None:
    path = small / "manifest-sha256.txt"
    path.write_bytes(path.read_bytes() + line.format("0" * 64).encode())
    assert any("manifest-sha256.txt" in text for text in findings(small))


def test_a_manifest_of_tags_names_no_payload(small: Path) -> None:
    path = small / "tagmanifest-sha256.txt"
    path.write_bytes(path.read_bytes() + b"%s  data/records.jsonl\n" % (b"0" * 64))
    assert f"{path.name}: lists data/records.jsonl, which is of the payload" in findings(small)


# Altered by somebody who puts the digests right ---------------------------------------------


def edit(bag: Path, name: str, old: bytes, new: bytes) -> None:
    content = (bag / name).read_bytes()
    assert old in content
    (bag / name).write_bytes(content.replace(old, new))


def test_records_that_went_with_their_digests_are_missed_by_their_number(small: Path) -> None:
    path = small / "data" / "records.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    forge(small, lambda _: None)
    told = findings(small)
    assert any("data/records.jsonl: holds 1 record, and the statement says 2" in t for t in told), (
        told
    )


def test_a_number_that_went_along_is_missed_in_the_sums(small: Path) -> None:
    path = small / "data" / "records.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])

    def change(statement: dict[str, Any]) -> None:
        statement["predicate"]["payload"][0]["records"] = 1

    forge(small, change)
    told = findings(small)
    assert any("the files of jsonl hold 1 record by it, not 2" in text for text in told), told


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda s: s.update(predicateType="urn:else"), "/predicateType: is not 'urn:"),
        (lambda s: s.update(more=1), "/more: is not known"),
        (lambda s: s["predicate"].pop("records"), "/predicate/records: is missing"),
        (lambda s: s["predicate"].update(records=7), "/predicate/records: says 7, and its tables"),
        (lambda s: s["predicate"].update(records="2"), "/predicate/records: is no integer"),
        (lambda s: s["predicate"]["sources"][0].update(name="b.db"), "bag-info.txt: does not say"),
        (
            lambda s: s["predicate"]["sources"][0]["files_after"][0].update(size=1),
            "audit.db was not the same before and after",
        ),
        (
            lambda s: s["predicate"]["sources"][0]["tables"][0]["columns"][0].update(type="X"),
            "records.schema.json: does not say of the columns",
        ),
        (
            lambda s: s["predicate"]["payload"][0].update(source=3),
            "is said to be of a source that the statement does not name",
        ),
        (
            lambda s: s["predicate"]["payload"].append(dict(s["predicate"]["payload"][0])),
            "/predicate/payload: names a file twice",
        ),
        (lambda s: s["predicate"]["payload"].pop(), "is not named by the statement"),
        (
            lambda s: [
                f.update(records=1) for f in s["predicate"]["payload"] if f["format"] == "csv"
            ],
            "holds 1 record by the statement, and the table had 2 by it",
        ),
    ],
)
def test_a_statement_that_contradicts_itself_is_named(
    small: Path, change: Callable[[dict[str, Any]], None], what: str
) -> None:
    forge(small, change)
    told = findings(small)
    assert any(what in text for text in told), told


def test_what_is_wrong_throughout_is_counted_to_its_end(small: Path) -> None:
    """The first twenty places are named, and how many more there are."""
    forge(small, lambda s: s["predicate"].update({f"key{n:02}": 0 for n in range(25)}))
    told = findings(small)
    assert "/key19: is not known" in told[19]
    assert told[20:] == [f"{STATEMENT}: has 5 more findings of this kind"]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"null", b'{"a":NaN}', b"[" * 100_000, b"\xff", b'{"a":1e999}']
)
def test_a_statement_that_is_none_is_named(small: Path, content: bytes) -> None:
    (small / STATEMENT).write_bytes(content)
    seal(small)
    assert any(STATEMENT in text for text in findings(small))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("records.jsonl", b"{"),
        ("records.jsonl", b"[]\n"),
        ("records.jsonl", b'{"record_type":"else"}\n'),
        ("records.jsonl", b'{"record_type":"run","run_id":NaN}\n'),
        ("records.jsonl", b'{"record_type":"run","run_id":{"base64":"?"}}\n'),
        ("records.jsonl", b'{"record_type":"run","run_id":[]}\n'),
        ("records.jsonl", b"\xff\n"),
        ("run.csv", b'"run"\r\n'),
        ("run.csv", b'"run","r1","x'),
        ("run.csv", b'"run",r1,nonsense\r\n'),
        ("run.csv", b'"run",1.50,"x"\r\n'),
        ("run.csv", b'"run",\xff,"x"\r\n'),
        ("run.csv", b'"ru"n,,\r\n'),
    ],
)
def test_a_file_that_holds_no_records_is_named(small: Path, name: str, line: bytes) -> None:
    with (small / "data" / name).open("ab") as file:
        file.write(line)
    forge(small, lambda _: None)
    assert any(text.startswith(f"data/{name}: ") for text in findings(small))


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE token (record_type, run_id)",
        "CREATE VIEW summary AS SELECT 1",
        "CREATE INDEX i ON run (run_id)",
    ],
)
def test_what_was_added_to_a_database_of_the_payload_was_passed_over(
    small: Path, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no bag with one could be verified by a relative path."""
    bag = small.with_name(f"{small.name}-sqlite")
    with open_landscape(source_of(small)) as db:
        export_bag(db, bag, formats=("sqlite",), page=False)
    monkeypatch.chdir(bag.parent)
    assert not findings(Path(bag.name))
    with closing(sqlite3.connect(bag / "data/records.sqlite")) as connection, connection:
        connection.execute(sql)
    forge(bag, lambda _: None)
    assert [text for text in findings(bag) if "which is none of its" in text]


@pytest.fixture
def compressed(small: Path) -> Path:
    """Give a bag of the same database, whose files are compressed by zstd."""
    pytest.importorskip("zstandard")
    bag = small.with_name(f"{small.name}-zst")
    with open_landscape(source_of(small)) as db:
        export_bag(db, bag, formats=("jsonl.zst", "csv"), page=False)
    return bag


def test_what_no_package_reads_is_told_as_unchecked(
    compressed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is checked, and nothing is called wrong for it."""
    assert "4 records, read back and counted" in verify_bag(compressed).checked
    monkeypatch.setitem(sys.modules, "zstandard", None)
    found = verify_bag(compressed)
    assert found.findings == []
    assert found.unchecked == [
        "the records in data/records.jsonl.zst: reading them needs a package that is not installed",
        "what the databases hold: none was given (--source)",
    ]
    assert "2 records, read back and counted" in found.checked


def test_what_no_package_reads_is_not_compared_with_the_source(
    compressed: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The format that can be read is, and what the statement says of the source by that."""
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with untouched(source_of(small)):
        found = verify_bag(compressed, sources=[source_of(small)])
    assert found.findings == []
    assert [told for told in found.checked if "audit.db" in told] == [
        "2 records of audit.db against the csv",
        "what the statement says of audit.db against it",
    ]
    assert [told.partition(":")[0] for told in found.unchecked] == [
        "the records in data/records.jsonl.zst"
    ]


def test_what_cannot_be_decompressed_ended_the_comparison_with_a_traceback(
    compressed: Path, small: Path
) -> None:
    """It is named, also where its records are compared with those of the source."""
    path = compressed / "data" / "records.jsonl.zst"
    path.write_bytes(bytes(path.stat().st_size))
    forge(compressed, lambda _: None)
    told = findings(compressed)
    assert [text.partition(" (")[0] for text in told] == [
        "data/records.jsonl.zst: is no zstd that can be read: zstd decompress error: "
        "Unknown frame descriptor"
    ]
    compared = verify_bag(compressed, sources=[source_of(small)])
    assert [str(finding) for finding in compared.findings] == [told[0], told[0]]
    assert "2 records of audit.db against the csv" in compared.checked


def test_what_cannot_be_opened_ended_the_comparison_with_a_traceback(small: Path) -> None:
    """As a file of a zip file that is said to be encrypted."""
    bag = small.with_name(f"{small.name}.zip")
    with open_landscape(source_of(small)) as db:
        export_bag(db, bag, formats=("jsonl", "csv"), page=False)
    data, name = bytearray(bag.read_bytes()), b"/data/records.jsonl"
    data[data.index(name) - len(bag.stem) - 30 + 6] |= 1
    data[data.rindex(name) - len(bag.stem) - 46 + 8] |= 1
    bag.write_bytes(data)
    found = verify_bag(bag, sources=[source_of(small)])
    told = [str(f) for f in found.findings if f.where == "data/records.jsonl"]
    assert sum("password required" in text for text in told) == 3
    assert "2 records of audit.db against the csv" in found.checked


def test_a_flipped_byte_in_a_zip_by_lzma_was_an_error_of_pythons(small: Path) -> None:
    """Tools of others pack so; what one byte spoils is told by its file."""
    bag = small.with_name(f"{small.name}.zip")
    with zipfile.ZipFile(bag, "w", zipfile.ZIP_LZMA) as archive:
        for path in sorted(small.rglob("*")):
            if path.is_file():
                archive.write(path, f"{small.name}/{path.relative_to(small)}")
    member = archive.getinfo(f"{small.name}/data/records.jsonl")
    data = bytearray(bag.read_bytes())
    data[member.header_offset + 30 + len(member.filename) + 60] ^= 0xFF
    bag.write_bytes(data)
    found = verify_bag(bag, sources=[source_of(small)])
    assert [f for f in found.findings if f.where == "data/records.jsonl"]


# Against the source -------------------------------------------------------------------------


def test_a_record_that_was_altered_with_all_digests_is_found_by_its_source(
    whole: Path, legacy: Written
) -> None:
    (first, *_) = (
        line
        for line in (whole / "data" / "records.jsonl").read_bytes().splitlines()
        if line.startswith(b'{"record_type":"token"') and b'"step_in_pipeline":null' in line
    )
    altered = first.replace(b'"step_in_pipeline":null', b'"step_in_pipeline":1234')
    edit(whole, "data/records.jsonl", first, altered)
    forge(whole, lambda _: None)
    assert findings(whole) == []
    (finding,) = verify_bag(whole, sources=[legacy.path]).findings
    assert finding.where == "data/records.jsonl"
    assert "step_in_pipeline" in finding.what
    assert "1234 in the export" in finding.what


def test_a_record_that_was_taken_out_with_all_counts_is_named_by_its_source(small: Path) -> None:
    for path in (small / "data" / "records.jsonl", small / "data" / "run.csv"):
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))

    def fewer(statement: dict[str, Any]) -> None:
        predicate = statement["predicate"]
        tables = predicate["sources"][0]["tables"]
        files = [file for file in predicate["payload"] if file["format"] != "schema"]
        for counted in (predicate, *tables, *files):
            counted["records"] = 1

    forge(small, fewer)
    found = verify_bag(small, sources=[source_of(small)]).findings
    assert [str(finding) for finding in found if finding.where == "audit.db"] == [
        "audit.db: holds a record that the export does not: "
        "record_type 'run', run_id 'r2', status None"
    ] * 2


def test_a_run_that_the_statement_invents_is_named(small: Path) -> None:
    forge(small, lambda s: s["predicate"]["selection"].update(runs=["r1", "r9"]))
    told = [str(f) for f in verify_bag(small, sources=[source_of(small)]).findings]
    assert any("what the statement says was exported is not there" in text for text in told), told


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda told: told.update(absent_tables=[]), "/absent_tables: says []"),
        (lambda told: told.update(degraded=False), "/degraded: says false, and it is true"),
        (lambda told: told.update(dialect="postgresql"), '/dialect: says "postgresql"'),
        (lambda told: told["shape"].update(nearest=[]), "/shape/nearest: says []"),
        (lambda told: told["shape"].update(epoch=77), "/shape/epoch: says 77, and it is null"),
        (lambda told: told["tables"][0].update(unreached=1), "/tables/0/unreached: says 1, and"),
        (lambda told: told["tables"][0].update(fingerprint="0" * 64), "/tables/0/fingerprint: "),
        (lambda told: told["tables"][0]["columns"].pop(), "/tables/0/columns: says [{"),
        (
            lambda told: told["tables"][0]["columns"][-1].update(type="BLOB"),
            'type: says "BLOB", and it is ',
        ),
        (
            lambda told: told["tables"][0].update(table="strangers"),
            "/tables/0: is of strangers, which is not there to be exported",
        ),
        (
            lambda told: told["tables"][0].update(table="strangers"),
            "/tables: does not tell of runs, which would be exported now",
        ),
    ],
)
def test_what_the_statement_says_is_absent_was_not_compared_with_the_source(
    legacy: Written, tmp_path: Path, change: Callable[[dict[str, Any]], Any], what: str
) -> None:
    bag = tmp_path / "bag"
    with open_landscape(legacy.path) as db:
        export_bag(db, bag, page=False)
    forge(bag, lambda statement: change(statement["predicate"]["sources"][0]))
    with untouched(legacy.path):
        told = [str(finding) for finding in verify_bag(bag, sources=[legacy.path]).findings]
    of_source = f"{STATEMENT} /predicate/sources/0"
    assert [text for text in told if text.startswith(of_source) and what in text], told


def test_a_bag_that_everything_was_taken_out_of_was_sound(small: Path) -> None:
    for path in (small / "data").iterdir():
        path.unlink()

    def empty(statement: dict[str, Any]) -> None:
        predicate = statement["predicate"]
        predicate.update(payload=[], records=0)
        predicate["sources"][0]["tables"][0]["records"] = 0

    forge(small, empty)
    told = [str(f) for f in verify_bag(small, sources=[source_of(small)]).findings]
    assert [text for text in told if "holds a record that the export does not" in text], told


def test_a_statement_against_an_older_target_is_no_contradiction(small: Path) -> None:
    """Another version of this package knows other shapes; what it says is not called wrong."""

    def older(statement: dict[str, Any]) -> None:
        statement["predicate"]["sources"][0].update(target="2026-01-01/abc", absent_tables=[])

    forge(small, older)
    found = verify_bag(small, sources=[source_of(small)])
    assert not found.findings
    assert [text for text in found.unchecked if "2026-01-01/abc" in text]


def test_what_another_version_knew_of_a_source_is_no_fault_of_the_bag(small: Path) -> None:
    """What is stored is compared all the same."""

    def of_another(statement: dict[str, Any]) -> None:
        predicate = statement["predicate"]
        predicate["tools"]["landscape-compat"] = "0.0.1"
        (source,) = predicate["sources"]
        source.update(degraded=False, absent_tables=[])
        (table,) = source["tables"]
        table["columns"] = [c for c in table["columns"] if c["state"] == "stored"]
        table["unreached"] += 1

    forge(small, of_another)
    found = verify_bag(small, sources=[source_of(small)])
    wrong = [f.where for f in found.findings if "/sources/0" in f.where]
    assert wrong == [f"{STATEMENT} /predicate/sources/0/tables/0/unreached"]
    assert [text for text in found.unchecked if "0.0.1" in text]


def test_a_run_that_cannot_be_told_in_time_was_called_a_fault_of_the_bag(small: Path) -> None:
    forge(small, lambda s: s["predicate"]["selection"].update(since="2024-01-01T00:00:00"))
    with pytest.raises(UnreadableError, match="cannot be told when it began"):
        verify_bag(small, sources=[source_of(small)])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("UPDATE runs SET status = 'other'", "status"),
        ("DELETE FROM calls", "call"),
        ("UPDATE rows SET row_index = row_index + 100", "row_index"),
    ],
)
def test_a_source_that_changed_since_is_told(
    whole: Path, legacy: Written, change: str, what: str
) -> None:
    with closing(sqlite3.connect(legacy.path)) as connection:
        connection.execute(change)
        connection.commit()
    found = verify_bag(whole, sources=[legacy.path])
    assert found.findings
    assert all(what in finding.what for finding in found.findings)
    assert any("byte by byte" in text for text in found.unchecked)


def test_a_source_that_was_only_rewritten_holds_the_same(whole: Path, legacy: Written) -> None:
    with closing(sqlite3.connect(legacy.path)) as connection:
        connection.execute("VACUUM")
    found = verify_bag(whole, sources=[legacy.path])
    assert found.is_sound
    assert any("byte by byte" in text for text in found.unchecked)


def test_as_many_sources_as_were_exported_are_wanted(whole: Path, legacy: Written) -> None:
    with pytest.raises(LandscapeCompatError, match="made from 1"):
        verify_bag(whole, sources=[legacy.path, legacy.path])


def test_verifying_leaves_the_bag_as_it_is(whole: Path) -> None:
    with untouched(whole / "bagit.txt"):
        verify_bag(whole)
