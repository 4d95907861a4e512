"""The manifest that ends a signed export of a run, as the host derives it from the records.

The form, its names and its constants are the host's: `elspeth.audit-export-manifest.v2` of its
version 0.7, so that whoever verifies its exports verifies these, and the plain one of its first
exports for what the newer form has no place for: a run that did not end, or records of no run.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from landscape_compat.export.formats.canonical import canonical
from landscape_compat.export.records.values import MANIFEST, SIGNATURE

__all__ = ["CHAIN", "Ended", "RecordChain", "plain_manifest", "run_manifest"]

CHAIN: Final = "sha256_concat_hmac_sha256_signatures_v1"
_ENDS: Final = frozenset({"completed", "completed_with_failures", "empty"})
_MOST_BYTES: Final = 64 * 1024 * 1024
_MOST_RECORDS: Final = 1_000_000
_CHUNKING: Final = "record-framing-v1"
_DERIVATION: Final = "audit-export-derivation-v1"
_SERIALIZATION: Final = "audit-export-v2"


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that ended, as its record says.

    Args:
        run_id: The run.
        status: How it ended.
        completed_at: When, in the one form that the host writes into its manifest.
    """

    run_id: str
    status: str
    completed_at: str

    @classmethod
    def of(cls, record: dict[str, Any]) -> Ended | None:
        """Find out from the record of a run whether it ended in a way that the host exports."""
        run_id, status = record.get("run_id"), record.get("status")
        if not isinstance(run_id, str) or not run_id or status not in _ENDS:
            return None
        try:
            at = datetime.fromisoformat(record.get("completed_at") or "")
        except (TypeError, ValueError):
            return None
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        return cls(run_id, status, at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


class RecordChain:
    """What is kept of signed records while they go by: their number, their chain, their chunks."""

    def __init__(self) -> None:
        self.records = 0
        self.bytes = 0
        self.chunks: list[dict[str, Any]] = []
        self._chain = hashlib.sha256()
        self._begin()

    @property
    def final_hash(self) -> str:
        """Give the digest of all signatures, one behind another."""
        return self._chain.hexdigest()

    def add(self, frame: bytes, signature: str) -> None:
        """Take a record.

        Args:
            frame: Its line, with its signature and its end.
            signature: Its signature.
        """
        self._chain.update(signature.encode("ascii"))
        size = len(frame)
        if self._records and (self._records >= _MOST_RECORDS or self._size + size > _MOST_BYTES):
            self.finish()
        self._content.update(frame)
        self._size += size
        self._records += 1
        self.records += 1
        self.bytes += size

    def finish(self) -> None:
        """End the chunk that is under way, which holds a record at least."""
        self.chunks.append(
            {
                "content_hash": self._content.hexdigest(),
                "cumulative_bytes": self.bytes,
                "cumulative_records": self.records,
                "ordinal": len(self.chunks),
                "record_count": self._records,
                "size_bytes": self._size,
            }
        )
        self._begin()

    def _begin(self) -> None:
        self._content = hashlib.sha256()
        self._size = self._records = 0


def plain_manifest(
    chain: RecordChain, run_id: str | None, exported_at: str, key: bytes | None
) -> dict[str, Any]:
    """Make the manifest of the host's first exports.

    Args:
        chain: The records.
        run_id: Their run; None for records that belong to none, or to several.
        exported_at: When they were exported, in ISO 8601.
        key: The key; None leaves the signature out.
    """
    body = {
        "record_type": MANIFEST,
        "run_id": run_id,
        "record_count": chain.records,
        "final_hash": chain.final_hash,
        "hash_algorithm": "sha256",
        "signature_algorithm": "hmac-sha256",
        "exported_at": exported_at,
    }
    return _signed(body, canonical(body), key)


def run_manifest(
    chain: RecordChain, ended: Ended, key_id: str, key: bytes | None
) -> dict[str, Any]:
    """Make the manifest of the host's newer exports, which is about a run that ended.

    Args:
        chain: The records, all of that run and at least one.
        ended: The run.
        key_id: The name of the key.
        key: The key; None leaves the signature out.
    """
    chain.finish()
    signing = {"signer_key_id": key_id, "signing_mode": "hmac_sha256"}
    versions = {
        "exporter_version": "landscape-exporter-v1",
        "serialization_version": _SERIALIZATION,
    }
    totals = {"record_count": chain.records, "total_bytes": chain.bytes}
    limits = {"per_chunk_byte_limit": _MOST_BYTES, "per_chunk_record_limit": _MOST_RECORDS}
    config = {
        **signing,
        **versions,
        **limits,
        "chunking_algorithm_version": _CHUNKING,
        "export_format": "json",
        "include_raw_error_rows": True,
    }
    registry = _hash(
        "audit-export-registry-key-v1",
        {
            **signing,
            **versions,
            "export_format": "json",
            "public_export_config_hash": _hash("audit-export-public-config-v1", config),
            "source_run_id": ended.run_id,
        },
    )
    content = {
        **totals,
        "chunking_algorithm_version": _CHUNKING,
        "chunks": chain.chunks,
        "serialization_version": _SERIALIZATION,
    }
    snapshot = _hash("audit-export-snapshot-content-v1", content)
    snapshot_id = _hash(
        "audit-export-snapshot-id-v1", {"registry_key_hash": registry, "snapshot_hash": snapshot}
    )
    sealed, last = _seal(chain, snapshot_id)
    chunk_count = {"chunk_count": len(chain.chunks)}
    manifest = _hash(
        "audit-export-manifest-v1",
        {**totals, **chunk_count, "chunks": sealed, "snapshot_id": snapshot_id},
    )
    hashes = {
        "last_chunk_seal_hash": last,
        "manifest_hash": manifest,
        "registry_key_hash": registry,
        "snapshot_hash": snapshot,
        "snapshot_id": snapshot_id,
    }
    source = {
        "exported_at": ended.completed_at,
        "source_completed_at": ended.completed_at,
        "source_status": ended.status,
    }
    seal = {
        **totals,
        **chunk_count,
        **limits,
        **hashes,
        **source,
        "chunking_algorithm_version": _CHUNKING,
        "source_run_id": ended.run_id,
    }
    body = {
        **totals,
        **chunk_count,
        **hashes,
        **source,
        "derivation_version": _DERIVATION,
        "export_format": "json",
        "final_hash": chain.final_hash,
        "hash_algorithm": "sha256",
        "record_chain_algorithm": CHAIN,
        "record_type": MANIFEST,
        "run_id": ended.run_id,
        "schema": "elspeth.audit-export-manifest.v2",
        "signature_algorithm": "hmac_sha256",
        "signature_key_id": key_id,
        "snapshot_seal_hash": _hash("audit-export-snapshot-seal-v1", seal),
    }
    signing_body = _tagged("audit-export-final-manifest-signing-body-v2", body)
    return _signed(body, signing_body, key)


def _seal(chain: RecordChain, snapshot_id: str) -> tuple[list[dict[str, Any]], str]:
    """Seal each chunk with the seal of the one before; give them, and the last seal."""
    sealed, previous = [], None
    for chunk in chain.chunks:
        content = {**chunk, "content_ref": f"sha256:{chunk['content_hash']}"}
        before = {"kind": "chunk_seal", "hash": previous} if previous else {"kind": "genesis"}
        seal = _hash(
            "audit-export-chunk-seal-v1",
            {
                **content,
                "chunking_algorithm_version": _CHUNKING,
                "derivation_version": _DERIVATION,
                "predecessor": before,
                "serialization_version": _SERIALIZATION,
                "snapshot_id": snapshot_id,
            },
        )
        sealed.append({**content, "chunk_seal_hash": seal, "predecessor_seal_hash": previous})
        previous = seal
    assert previous is not None
    return sealed, previous


def _tagged(tag: str, payload: dict[str, Any]) -> bytes:
    return canonical({"payload": payload, "schema": tag})


def _hash(tag: str, payload: dict[str, Any]) -> str:
    return hashlib.sha256(_tagged(tag, payload)).hexdigest()


def _signed(body: dict[str, Any], data: bytes, key: bytes | None) -> dict[str, Any]:
    if key is None:
        return body
    return {**body, SIGNATURE: hmac.new(key, data, hashlib.sha256).hexdigest()}
