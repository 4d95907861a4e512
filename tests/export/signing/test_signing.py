"""Records are signed as the host signs them, and a change to any of them, or a loss, is found."""

from __future__ import annotations

import hmac
import io
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from landscape_compat.errors import LandscapeCompatError, OutputError
from landscape_compat.export.formats.canonical import canonical_parts
from landscape_compat.export.output.files import StreamFiles
from landscape_compat.export.records.selection import Selection
from landscape_compat.export.signing.host_manifest import RecordChain
from landscape_compat.export.signing.signatures import wrong_signatures
from landscape_compat.export.signing.signing import (
    SignedLinesWriter,
    SigningKey,
    read_key,
    split_frame,
)
from landscape_compat.export.verify.seals import Seals, Verifiers
from landscape_compat.export.verify.verify import verify_bag
from landscape_compat.export.whole import export_bag
from landscape_compat.landscape.database import open_landscape
from support.legacy import Written
from support.records import form_for, row_of, write_all
from support.untouched import untouched
from test_legacy_generator import example

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

KEY = SigningKey("key-1", b"secret")
RECORDS: list[dict[str, Any]] = [
    {
        "record_type": "run",
        "run_id": "r1",
        "status": "completed",
        "completed_at": "2026-01-18T09:30:02.169463",
        "é": 'z\u2028\x1f"\\',
    },
    {
        "record_type": "node_state",
        "run_id": "r1",
        "duration_ms": 1.0,
        "small": 1e-7,
        "attempt": 0,
        "error_json": None,
        "flag": True,
    },
    {"record_type": "token", "run_id": "r1", "token_id": "t"},
]
# What the host's own code made of these records and this key: elspeth 0.7.2,
# `derive_audit_export_bundle`.
BY_HOST = {
    "chunk_count": 1,
    "derivation_version": "audit-export-derivation-v1",
    "export_format": "json",
    "exported_at": "2026-01-18T09:30:02.169463Z",
    "final_hash": "e9798431f3290d254034ee581e16f420dce958ac25ebfc6aaf005365b99e1a72",
    "hash_algorithm": "sha256",
    "last_chunk_seal_hash": "0200c3d8fecb973ced1be1706c6d14b87d675f5802892420f979e1cb9f4ee7c6",
    "manifest_hash": "34ca91f04c9de2ffb56b83615450a259f2070b7e879d4cd032ccd6977e396c90",
    "record_chain_algorithm": "sha256_concat_hmac_sha256_signatures_v1",
    "record_count": 3,
    "record_type": "manifest",
    "registry_key_hash": "cfda425d67dff81b993b9c96dafed6d7da0605390978608399fef323ee7a79fb",
    "run_id": "r1",
    "schema": "elspeth.audit-export-manifest.v2",
    "signature_algorithm": "hmac_sha256",
    "signature_key_id": "key-1",
    "snapshot_hash": "3de57e3009ca0ae5e22c759fedee6d972ef57ed036a8c2db9394ba16253b1104",
    "snapshot_id": "3cf1760604b710ede4cb26e73a56163cfa442d813c974d4255a7754f860eea62",
    "snapshot_seal_hash": "aa3c1018ab65bcc5aaa42fab838e0c348dbd4089bf58aa90d5e4fde2ee4e7a3d",
    "source_completed_at": "2026-01-18T09:30:02.169463Z",
    "source_status": "completed",
    "total_bytes": 527,
    "signature": "40f5656f7df2dbfd332350d5b9ee8d17e4978bbe063360d177b6c85af0ef0845",
}
SIGNATURES_BY_HOST = [
    "084113eb059d3dd51fb1050536c3b352222b4d2bce5356955385208a7bd1d9fb",
    "8f9d3e488eee88432519524701636eb8d64fcbb288f03f54b3a0c70d4d23a574",
    "59a1b90ddde5e7d9a1435f9cba29768a352b342265dc603db5c731c22d2fd9d5",
]


def signed(records: list[dict[str, Any]]) -> list[bytes]:
    stream = io.BytesIO()
    files = StreamFiles(stream)
    writer = SignedLinesWriter(files, KEY, exported_at="2026-01-19T00:00:00", whole_runs=True)
    write_all(writer, records)
    return stream.getvalue().splitlines(keepends=True)


def wrong(lines: list[bytes], key: bytes | None = KEY.key) -> list[str]:
    return list(wrong_signatures(io.BytesIO(b"".join(lines)), "key-1", key, whole_runs=True))


def test_a_run_that_ended_is_signed_as_the_host_signs_it() -> None:
    *frames, manifest = signed(RECORDS)
    assert [split_frame(frame)[1] for frame in frames] == SIGNATURES_BY_HOST
    assert frames == [
        rfc8785.dumps({**record, "signature": signature}) + b"\n"
        for record, signature in zip(RECORDS, SIGNATURES_BY_HOST, strict=True)
    ]
    assert json.loads(manifest) == BY_HOST


def test_a_run_that_did_not_end_gets_the_manifest_of_the_first_exports() -> None:
    running = [{**RECORDS[0], "status": "running"}, *RECORDS[1:]]
    *frames, line = signed(running)
    manifest = json.loads(line)
    signatures = "".join(split_frame(frame)[1] for frame in frames)
    assert manifest["final_hash"] == sha256(signatures.encode()).hexdigest()
    signature = manifest.pop("signature")
    expected = hmac.new(KEY.key, rfc8785.dumps(manifest), sha256).hexdigest()
    assert signature == expected
    assert manifest == {
        "record_type": "manifest",
        "run_id": "r1",
        "record_count": 3,
        "final_hash": manifest["final_hash"],
        "hash_algorithm": "sha256",
        "signature_algorithm": "hmac-sha256",
        "exported_at": "2026-01-19T00:00:00",
    }


def test_each_run_has_its_own_chain_and_what_belongs_to_none_has_one_too() -> None:
    other = [{**record, "run_id": "r2"} for record in RECORDS]
    loose = [{"record_type": "auth_event", "event_id": "e"}]
    lines = signed([*RECORDS, *other, *loose])
    manifests = [json.loads(line) for line in lines if b'"manifest"' in line]
    assert [(m["run_id"], m["record_count"]) for m in manifests] == [
        ("r1", 3),
        ("r2", 3),
        (None, 1),
    ]
    assert wrong(lines) == wrong(lines, None) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda lines: lines[:1] + lines[2:], "record_count"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "final_hash"),
        (lambda lines: lines[:-1], "has no manifest behind its last 3 records"),
        (lambda lines: [lines[0].replace(b"completed", b"compLeted"), *lines[1:]], "manifest"),
        (lambda lines: [*lines[:2], lines[2][:-2] + b"\n", lines[3]], "line 3 has no signature"),
        (lambda lines: [lines[0], b"nonsense\n", *lines[2:]], "line 2 has no signature"),
        (
            lambda lines: [
                *lines[:-1],
                lines[-1].replace(b'"total_bytes":527', b'"total_bytes":528'),
            ],
            "total_bytes",
        ),
    ],
)
def test_what_was_changed_is_found_without_the_key(
    change: Callable[[list[bytes]], list[bytes]], what: str
) -> None:
    lines = change(signed(RECORDS))
    assert any(what in text for text in wrong(lines, None)), wrong(lines, None)


def test_a_record_that_was_signed_by_another_is_found_by_the_key() -> None:
    lines = signed(RECORDS)
    assert wrong(lines, b"another")[0] == "line 1 is not signed by the key key-1"
    altered = [lines[0].replace(b"completed_at", b"completed_by"), *lines[1:]]
    assert "line 1 is not signed by the key key-1" in wrong(altered)


def test_every_flipped_byte_is_found_by_the_key() -> None:
    lines = b"".join(signed(RECORDS))
    for at in range(len(lines)):
        other = lines[:at] + bytes([lines[at] ^ 1 << at % 8]) + lines[at + 1 :]
        assert wrong([other]), at


def test_a_value_without_canonical_form_is_refused_by_name() -> None:
    record = {"record_type": "row", "run_id": "r", "big": 2**53}
    with pytest.raises(OutputError) as caught:
        canonical_parts(form_for(record))(row_of(record), "r")
    assert (caught.value.table, caught.value.column) == ("row", "big")


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    assert "secret" not in repr(KEY)
    (tmp_path / "key").write_bytes(b"from a file\n")
    variables = {"ELSPETH_SIGNING_KEY": "from outside"}
    assert read_key(tmp_path / "key", variables) == b"from a file"
    assert read_key(None, variables) == b"from outside"
    assert read_key(None, {}) is None
    with pytest.raises(LandscapeCompatError, match="cannot be read"):
        read_key(tmp_path / "nowhere", {})
    for key_id in ("", "UNSIGNED", "a b", "-a", "x" * 129):
        with pytest.raises(LandscapeCompatError, match="name of a key"):
            SigningKey(key_id, b"x")
    with pytest.raises(LandscapeCompatError, match="empty"):
        SigningKey("a", b"")


# In chunks ----------------------------------------------------------------------------------


def test_a_chunk_ends_before_it_is_larger_than_the_host_has_them() -> None:
    """A record that fills one up is still in it, and one that is larger is alone."""
    chain = RecordChain()
    sizes = [40 << 20, 24 << 20, 1, 64 << 20, (64 << 20) + 1, 2]
    for size in sizes:
        chain.add(bytes(size), "ab")
    chain.finish()
    assert [(c["ordinal"], c["record_count"], c["size_bytes"]) for c in chain.chunks] == [
        (0, 2, 64 << 20),
        (1, 1, 1),
        (2, 1, 64 << 20),
        (3, 1, (64 << 20) + 1),
        (4, 1, 2),
    ]
    last = chain.chunks[-1]
    assert (last["cumulative_records"], last["cumulative_bytes"]) == (6, sum(sizes))
    assert last["content_hash"] == sha256(bytes(2)).hexdigest()


def test_a_chunk_has_no_more_records_than_the_host_gives_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("landscape_compat.export.signing.host_manifest._MOST_RECORDS", 2)
    *_, manifest = lines = signed(RECORDS)
    assert json.loads(manifest)["chunk_count"] == 2
    assert wrong(lines) == []
    *_, manifest = signed(RECORDS[:2])
    assert json.loads(manifest)["chunk_count"] == 1


# In a bag -----------------------------------------------------------------------------------


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Give a database whose numbers all have a canonical form."""
    (tmp_path / "record").mkdir()
    example().build(tmp_path / "record" / "audit.db")
    return tmp_path / "record" / "audit.db"


@pytest.fixture
def bag(record: Path, tmp_path: Path) -> Path:
    with untouched(record), open_landscape(record) as db:
        export_bag(db, tmp_path / "bag", formats=("jsonl.gz", "csv"), signer=KEY)
    return tmp_path / "bag"


def test_a_signed_bag_is_verified_by_its_key_and_by_its_source(bag: Path, record: Path) -> None:
    found = verify_bag(bag, sources=[record], verifiers=Verifiers(key=KEY.key))
    assert (found.findings, found.unchecked) == (
        [],
        ["what metadata/page.html shows: it is drawn for people"],
    )
    assert "the signature of each record in data/records.jsonl.gz by key-1" in found.checked
    assert "the statement's signature by the key key-1" in found.checked
    unkeyed = verify_bag(bag)
    assert unkeyed.is_sound
    assert any("only their chain" in text for text in unkeyed.unchecked)


@pytest.mark.parametrize("stored", ["mine", "0" * 64])
def test_a_stored_signature_was_taken_for_that_of_its_record(tmp_path: Path, stored: str) -> None:
    """And a table called `manifest` for what ends the chain."""
    path, bag = tmp_path / "record" / "audit.db", tmp_path / "bag"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE runs (run_id TEXT PRIMARY KEY, signature TEXT)")
        connection.execute("INSERT INTO runs VALUES ('r', ?)", (stored,))
        connection.execute("""CREATE TABLE manifest (a TEXT, 'b\\",signature' TEXT)""")
        connection.execute("INSERT INTO manifest VALUES ('x', ?)", (stored,))
    with untouched(path), open_landscape(path) as db:
        export_bag(db, bag, signer=KEY)
    lines = [json.loads(line) for line in (bag / "data/records.jsonl").read_bytes().splitlines()]
    assert [line.get("stored.signature") for line in lines][:1] == [stored]
    with untouched(path):
        assert not verify_bag(bag, sources=[path], verifiers=Verifiers(key=KEY.key)).findings


def test_another_key_is_found(bag: Path) -> None:
    found = verify_bag(bag, verifiers=Verifiers(key=b"another"))
    assert {finding.where for finding in found.findings} == {
        "data/records.jsonl.gz",
        "metadata/export.intoto.json.dsse.json",
    }


def test_only_json_lines_are_signed(legacy: Written, tmp_path: Path) -> None:
    with open_landscape(legacy.path) as db, pytest.raises(ValueError, match="jsonl"):
        export_bag(db, tmp_path / "bag", formats=("csv",), signer=KEY)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen is at hand")
def test_a_statement_is_signed_by_ssh_keygen(legacy: Written, tmp_path: Path) -> None:
    for name in ("id", "other"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(command, check=True)
    selection = Selection(tables=("runs",))
    with open_landscape(legacy.path) as db:
        seals = Seals(ssh_key=tmp_path / "id")
        export_bag(db, tmp_path / "bag", selection=selection, seals=seals)
    allowed = {}
    for name in ("id", "other"):
        public = (tmp_path / f"{name}.pub").read_text()
        allowed[name] = tmp_path / f"{name}.allowed"
        allowed[name].write_text(f"auditor@example.org {public}")
    good = verify_bag(tmp_path / "bag", verifiers=Verifiers(allowed_signers=allowed["id"]))
    assert good.findings == []
    assert "the statement's signature by auditor@example.org" in good.checked
    bad = verify_bag(tmp_path / "bag", verifiers=Verifiers(allowed_signers=allowed["other"]))
    assert [finding.where for finding in bad.findings] == ["metadata/export.intoto.json.sig"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl is at hand")
def test_a_statement_is_signed_for_cosign(legacy: Written, tmp_path: Path) -> None:
    """The envelope is DSSE with a signature by P-256, which openssl verifies by itself."""
    for name in ("one", "two"):
        key, public = tmp_path / f"{name}.pem", tmp_path / f"{name}.pub"
        make = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        subprocess.run([*make, "-out", key], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    selection = Selection(tables=("runs",))
    with open_landscape(legacy.path) as db:
        seals = Seals(pem_key=tmp_path / "one.pem")
        export_bag(db, tmp_path / "bag", selection=selection, seals=seals)
    envelope = json.loads((tmp_path / "bag" / "metadata/export.intoto.json.dsse.json").read_bytes())
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    good = verify_bag(tmp_path / "bag", verifiers=Verifiers(pem_key=tmp_path / "one.pub"))
    assert good.findings == []
    assert "the statement's signature by the public key" in good.checked
    bad = verify_bag(tmp_path / "bag", verifiers=Verifiers(pem_key=tmp_path / "two.pub"))
    assert [f.where for f in bad.findings] == ["metadata/export.intoto.json.dsse.json"]


def test_a_key_that_a_tool_does_not_take_leaves_no_bag(legacy: Written, tmp_path: Path) -> None:
    (tmp_path / "none").write_text("no key")
    with open_landscape(legacy.path) as db, pytest.raises(LandscapeCompatError) as caught:
        export_bag(db, tmp_path / "bag", seals=Seals(pem_key=tmp_path / "none"))
    assert caught.value.remedy
    assert not (tmp_path / "bag").exists()
