"""Checking the signatures of records, and the chain and manifest that end them."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from typing import IO, Any

from landscape_compat.errors import count_of
from landscape_compat.export.formats.canonical import canonical
from landscape_compat.export.records.values import MANIFEST, RECORD_TYPE, SIGNATURE
from landscape_compat.export.signing.host_manifest import Ended, RecordChain
from landscape_compat.export.signing.signing import SigningKey, manifest_for, split_frame

__all__ = ["wrong_signatures"]

_MOST = 1 << 30


def wrong_signatures(
    file: IO[bytes], key_id: str, key: bytes | None, *, whole_runs: bool
) -> Iterator[str]:
    """Say what is wrong with signed JSON lines.

    Args:
        file: The file.
        key_id: The name of the key that the statement gives.
        key: The key; without it, only what needs none is checked.
        whole_runs: Whether all records of each run are there.
    """
    signer = SigningKey(key_id, key) if key else None
    chain, ended, run, number, ends = RecordChain(), None, None, 0, 0
    while line := file.readline(_MOST):
        number += 1
        try:
            unsigned, signature = split_frame(line)
            record = json.loads(unsigned)
        except (ValueError, RecursionError) as error:
            yield f"line {number} {error}"
            return
        if record.get(RECORD_TYPE) != MANIFEST:
            if signer and not hmac.compare_digest(signer.sign(unsigned), signature):
                yield f"line {number} is not signed by the key {key_id}"
            chain.add(line, signature)
            if whole_runs and ended is None and record.get(RECORD_TYPE) == "run":
                ended = Ended.of(record)
            continue
        run = record.get("run_id")
        manifest = manifest_for(chain, run, ended, str(record.get("exported_at")), key_id, key)
        signature_told = manifest.pop(SIGNATURE, signature)
        for name in sorted(manifest.keys() | record.keys()):
            if manifest.get(name) != record.get(name):
                yield f"line {number}: the manifest says of {name} what the records do not"
        if not hmac.compare_digest(str(signature_told), signature):
            yield f"line {number}: the manifest is not signed by the key {key_id}"
        if canonical({**record, SIGNATURE: signature}) + b"\n" != line:
            yield f"line {number}: the manifest is not in the form of RFC 8785"
        chain, ended = RecordChain(), None
        ends += 1
    if chain.records:
        yield f"has no manifest behind its last {count_of(chain.records, 'record')}"


def is_manifest(record: dict[str, Any]) -> bool:
    """Tell whether a record of signed JSON lines is no record of the database."""
    return record.get(RECORD_TYPE) == MANIFEST
