"""A seal that is missing, or is none, or seals something else, is told as just that."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from landscape_compat.errors import LandscapeCompatError
from landscape_compat.export.records.selection import Selection
from landscape_compat.export.signing.signing import SigningKey
from landscape_compat.export.verify.manifests import MOST_TAG_BYTES
from landscape_compat.export.verify.seals import Seals, Verifiers
from landscape_compat.export.verify.verify import verify_bag
from landscape_compat.export.whole import export_bag
from landscape_compat.landscape.database import open_landscape
from support.bags import STATEMENT, seal
from support.untouched import untouched
from test_legacy_generator import example

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

KEY = SigningKey("key-1", b"secret")
DSSE, SSH = f"{STATEMENT}.dsse.json", f"{STATEMENT}.sig"


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Give a bag whose statement is sealed by the key that signs its records."""
    (tmp_path / "record").mkdir()
    database = tmp_path / "record" / "audit.db"
    example().build(database)
    with untouched(database), open_landscape(database) as db:
        runs = Selection(tables=("runs",))
        export_bag(db, tmp_path / "bag", selection=runs, signer=KEY, page=False)
    return tmp_path / "bag"


def told(bag: Path, verifiers: Verifiers) -> list[str]:
    return [str(finding) for finding in verify_bag(bag, verifiers=verifiers).findings]


def test_the_seal_of_the_key_is_missed(bag: Path) -> None:
    (bag / DSSE).unlink()
    seal(bag)
    assert told(bag, Verifiers(key=KEY.key)) == [
        f"{DSSE}: is missing, so that the statement is not signed by that key"
    ]
    assert told(bag, Verifiers()) == []


def test_a_bag_that_says_that_nobody_signed_it_was_sound_by_any_key(tmp_path: Path) -> None:
    """Whoever alters a signed one can put that in its place."""
    database = tmp_path / "record" / "audit.db"
    database.parent.mkdir()
    example().build(database)
    with untouched(database), open_landscape(database) as db:
        export_bag(db, tmp_path / "bag", selection=Selection(tables=("runs",)), page=False)
    assert told(tmp_path / "bag", Verifiers(key=KEY.key)) == [
        f"{STATEMENT}: says that nothing is signed, and a key was given to verify by"
    ]
    at_hand = verify_bag(tmp_path / "bag", verifiers=Verifiers(KEY.key, must_be_signed=False))
    assert at_hand.is_sound
    assert "any signature by a key: the statement says that there is none" in at_hand.unchecked


def test_a_seal_of_nobody_allowed_is_missed(bag: Path, tmp_path: Path) -> None:
    (tmp_path / "allowed").write_text("")
    assert told(bag, Verifiers(allowed_signers=tmp_path / "allowed")) == [
        f"{SSH}: is missing, so that the statement is not signed by anybody allowed"
    ]


def test_a_seal_that_nobody_asked_about_is_told(bag: Path) -> None:
    (bag / SSH).write_bytes(b"whatever")
    found = verify_bag(bag)
    assert found.findings == []
    assert f"{SSH}: it is not said who may sign (--allowed-signers)" in found.unchecked
    assert f"{DSSE}: no key was given to verify it by" in found.unchecked


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b'{"payload":7,"payloadType":"","signatures":[]}',
        b'{"payload":"e30=","payloadType":"","signatures":[7]}',
        b'{"payload":"e30=","payloadType":"","signatures":[{"sig":"?"}]}',
        b'{"payload":"e30=","signatures":[]}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_an_envelope_that_is_none_is_named(bag: Path, content: bytes) -> None:
    (bag / DSSE).write_bytes(content)
    seal(bag)
    (finding,) = told(bag, Verifiers(key=KEY.key))
    assert finding.startswith(f"{DSSE}: is no DSSE envelope: ")


def test_an_envelope_about_another_statement_is_named(bag: Path) -> None:
    envelope = json.loads((bag / DSSE).read_bytes())
    envelope["payload"] = base64.b64encode(b"{}").decode()
    (bag / DSSE).write_text(json.dumps(envelope))
    seal(bag)
    assert told(bag, Verifiers(key=KEY.key)) == [f"{DSSE}: is about another statement"]


def test_a_seal_that_is_too_long_is_not_said_to_be_missing(bag: Path, tmp_path: Path) -> None:
    with (bag / SSH).open("wb") as file:
        file.truncate(MOST_TAG_BYTES + 1)
    (tmp_path / "allowed").write_text("")
    assert told(bag, Verifiers(allowed_signers=tmp_path / "allowed")) == [
        f"{SSH}: is longer than {MOST_TAG_BYTES} bytes, so it was not read"
    ]


@pytest.mark.parametrize(
    ("tool", "seals"),
    [("ssh-keygen", Seals(ssh_key=Path("key"))), ("openssl", Seals(pem_key=Path("key")))],
)
def test_a_tool_to_sign_by_that_is_not_at_hand_leaves_no_bag(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str, seals: Seals
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "out").mkdir()
    runs = Selection(tables=("runs",))
    with open_landscape(tmp_path / "record" / "audit.db") as db:
        with pytest.raises(LandscapeCompatError, match=f"{tool} is not at hand") as caught:
            export_bag(db, tmp_path / "out" / "bag", selection=runs, seals=seals, page=False)
        assert caught.value.remedy
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("tool", "verifiers"),
    [
        ("ssh-keygen", Verifiers(allowed_signers=Path("allowed"))),
        ("openssl", Verifiers(pem_key=Path("key"))),
    ],
)
def test_a_tool_to_verify_by_that_is_not_at_hand_was_a_file_not_found(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str, verifiers: Verifiers
) -> None:
    (bag / SSH).write_bytes(b"whatever")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LandscapeCompatError, match=f"{tool} is not at hand") as caught:
        verify_bag(bag, verifiers=verifiers)
    assert caught.value.remedy
