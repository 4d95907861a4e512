"""A contract of another era is refused by a typed error, and never taken for a damaged one."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest

from landscape_compat import install
from landscape_compat.errors import UnreadableError
from support.hosts import Place, PutInPlace

OLD, NEW = "rc2", "newest"  # of 16 digits and without `nullable`; of 32 and with it


def contract(*fields: dict[str, Any], digits: int) -> str:
    """Write a contract as an era did."""
    words = json.dumps(list(fields), sort_keys=True)
    digest = sha256(words.encode()).hexdigest()[:digits]
    return json.dumps({"fields": list(fields), "version_hash": digest})


OF_OLD = contract({"name": "id"}, digits=16)
OF_BETWEEN = contract({"name": "id"}, digits=32)
OF_NEW = contract({"name": "id", "nullable": False}, digits=32)


def reader(host: PutInPlace) -> Any:
    """Give the class that reads contracts."""
    return host.load("contracts.contract_records").ContractAuditRecord


@pytest.mark.parametrize(("era", "own"), [(OLD, OF_OLD), (NEW, OF_NEW)])
def test_its_own_contracts_are_read_as_before(place: Place, era: str, own: str) -> None:
    """What a version wrote itself it reads with the shim as without."""
    kind = reader(place(era))
    before = kind.from_json(own)
    install()
    assert kind.from_json(own) == before
    assert before.to_schema_contract()


@pytest.mark.parametrize(
    ("era", "other", "why"),
    [
        (NEW, OF_OLD, "does not tell `nullable`"),
        (NEW, OF_BETWEEN, "does not tell `nullable`"),
        (OLD, OF_BETWEEN, "has 32 digits, and this version's have 16"),
        (OLD, OF_NEW, "covers `nullable`"),
    ],
)
def test_one_of_another_era_is_refused_with_the_reason(
    place: Place, era: str, other: str, why: str
) -> None:
    """The reader's own error says nothing of eras; ours does, and is caught as both."""
    kind = reader(place(era))
    with pytest.raises((KeyError, ValueError)) as native:
        kind.from_json(other).to_schema_contract()
    install()
    with pytest.raises(UnreadableError, match="of another era") as caught:
        kind.from_json(other)
    assert why in str(caught.value)
    assert isinstance(caught.value, type(native.value))
    assert "says nothing of damage" in str(caught.value)


@pytest.mark.parametrize("era", [OLD, NEW])
def test_a_damaged_one_is_told_by_the_host(place: Place, era: str) -> None:
    """A wrong digest of the reader's own era is damage, and the host says so itself."""
    kind = reader(place(era))
    own = json.loads(OF_OLD if era == OLD else OF_NEW)
    own["fields"][0]["name"] = "changed"
    install()
    record = kind.from_json(json.dumps(own))
    with pytest.raises(ValueError, match="hash mismatch") as caught:
        record.to_schema_contract()
    assert not isinstance(caught.value, UnreadableError)


@pytest.mark.parametrize("text", ["[]", "{}", "no json", '{"fields": 1, "version_hash": "a"}'])
def test_what_is_no_contract_is_told_by_the_host(place: Place, text: str) -> None:
    """What cannot be parsed at all is none of ours to explain."""
    kind = reader(place(NEW))
    with pytest.raises(Exception) as native:  # noqa: PT011
        kind.from_json(text)
    install()
    with pytest.raises(type(native.value)) as caught:
        kind.from_json(text)
    assert not isinstance(caught.value, UnreadableError)
