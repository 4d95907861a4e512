"""Records that are each signed, in a chain with a manifest at its end, as the host signs them."""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from landscape_compat.errors import LandscapeCompatError, printable
from landscape_compat.export.formats.canonical import canonical, canonical_parts
from landscape_compat.export.formats.compiled import CompiledEncoder
from landscape_compat.export.output.files import ALL_RECORDS, Files
from landscape_compat.export.records.values import RecordForm
from landscape_compat.export.signing.host_manifest import (
    CHAIN,
    Ended,
    RecordChain,
    plain_manifest,
    run_manifest,
)
from landscape_compat.landscape.tables import RUNS, facts_for

__all__ = [
    "KEY_VARIABLE",
    "SignedLinesWriter",
    "SigningKey",
    "manifest_for",
    "read_key",
    "split_frame",
]

# The host's own, so that one key signs and verifies on both sides.
KEY_VARIABLE: Final = "ELSPETH_SIGNING_KEY"
_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_LINES: Final = 32
# Within a text or a name, the quotes would have a backslash before them.
_MEMBER = re.compile(rb'(?:(?<=^\{)|,)"signature":"([0-9a-f]{64})",?')


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key to sign by, which is never shown.

    Args:
        key_id: Its name, which is published.
        key: The key.

    Raises:
        LandscapeCompatError: The name is none that the host takes, or the key is empty.
    """

    key_id: str
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if _KEY_ID.fullmatch(self.key_id) is None or self.key_id == "UNSIGNED":
            raise LandscapeCompatError(
                f"{self.key_id!r} is no name of a key.",
                remedy="Use at most 128 letters, digits and . _ : -, a letter or digit first.",
            )
        if not self.key:
            raise LandscapeCompatError("The key to sign by is empty.", remedy="Give another.")

    def sign(self, data: bytes) -> str:
        """Give the HMAC-SHA256 of data, in hexadecimal."""
        return hmac.new(self.key, data, sha256).hexdigest()

    def to_dict(self) -> dict[str, str]:
        """Say how records are signed, as plain JSON values."""
        return {"algorithm": "hmac-sha256", "chain": CHAIN, "key_id": self.key_id}


def read_key(file: str | os.PathLike[str] | None, environment: Mapping[str, str]) -> bytes | None:
    """Read a key from a file, or else from the environment.

    Args:
        file: The file; its bytes are the key, without a line break at its end.
        environment: Where `KEY_VARIABLE` holds the key if no file is given.

    Raises:
        LandscapeCompatError: The file cannot be read.
    """
    if file is None:
        text = environment.get(KEY_VARIABLE)
        return os.fsencode(text) if text else None
    try:
        return Path(file).read_bytes().removesuffix(b"\n").removesuffix(b"\r")
    except OSError as error:
        raise LandscapeCompatError(
            f"The key in {printable(file)} cannot be read: {error.strerror or error}.",
            remedy="Check the path, and that you may read it.",
        ) from error


class SignedLinesWriter:
    """Writes all records to one file of JSON lines in RFC 8785 form, each signed.

    A manifest ends the records of each run, and another those that belong to none.

    Args:
        files: What makes the file.
        key: The key.
        exported_at: When the export began, in ISO 8601.
        whole_runs: Whether all records of a run are written, so that the manifest of a run that
            ended can be the host's for that.
    """

    def __init__(
        self, files: Files, key: SigningKey, *, exported_at: str, whole_runs: bool
    ) -> None:
        self._file = files.open(f"{ALL_RECORDS}.jsonl")
        self._key = key
        self._exported_at = exported_at
        self._whole_runs = whole_runs
        self._lines: list[bytes] = []
        self._chain = RecordChain()
        self._run: Any = None
        self._ended: Ended | None = None

    def encoder(self, form: RecordForm) -> CompiledEncoder:
        """Give what makes of a row its run, its canonical parts, and whether it ended."""
        parts = canonical_parts(form)
        facts = facts_for(RUNS)
        if facts is not None and form.record_type == facts.record_type:
            return lambda row, run: (run, parts(row, run), Ended.of(form.make(row, run)))
        return lambda row, run: (run, parts(row, run), None)

    def write(self, items: list[tuple[Any, tuple[bytes, bytes], Ended | None]]) -> None:
        """Sign records, and write them.

        Raises:
            OutputError: They cannot be written.
        """
        for run, parts, ended in items:
            self._write(run, parts, ended)

    def _write(self, run: Any, parts: tuple[bytes, bytes], ended: Ended | None) -> None:
        before, after = parts
        if run != self._run:
            self._end()
            self._run = run
        self._ended = ended or self._ended
        between = b"," if before and after else b""
        signature = self._key.sign(b"{%b%b%b}" % (before, between, after))
        member = b'"signature":"%b"' % signature.encode("ascii")
        frame = b"{%b}\n" % b",".join(filter(None, (before, member, after)))
        self._chain.add(frame, signature)
        self._lines.append(frame)
        if len(self._lines) >= _LINES:
            self._flush()

    def finish(self) -> None:
        """Write the last manifest.

        Raises:
            OutputError: It cannot be written.
        """
        self._end()

    def _end(self) -> None:
        self._flush()
        if self._chain.records:
            manifest = manifest_for(
                self._chain,
                self._run,
                self._ended if self._whole_runs else None,
                self._exported_at,
                self._key.key_id,
                self._key.key,
            )
            self._file.write(canonical(manifest) + b"\n")
        self._chain, self._ended = RecordChain(), None

    def _flush(self) -> None:
        self._file.write(b"".join(self._lines), len(self._lines))
        self._lines.clear()


def manifest_for(
    chain: RecordChain,
    run: Any,
    ended: Ended | None,
    exported_at: str,
    key_id: str,
    key: bytes | None,
) -> dict[str, Any]:
    """Make the manifest that ends a chain: the host's newer one if it can be.

    Args:
        chain: The records.
        run: Their run; None for those that belong to none.
        ended: The run, if it ended and all its records are there.
        exported_at: When the export began.
        key_id: The name of the key.
        key: The key; None leaves the signature out.
    """
    if ended is not None and ended.run_id == run:
        return run_manifest(chain, ended, key_id, key)
    return plain_manifest(chain, run, exported_at, key)


def split_frame(line: bytes) -> tuple[bytes, str]:
    """Take the signature out of a signed line, and give what was signed.

    Args:
        line: A line as `SignedLinesWriter` writes it.

    Raises:
        ValueError: It has none.
    """
    found = _MEMBER.search(line)
    if found is None or not line.endswith(b"}\n"):
        raise ValueError("has no signature")
    before, after = line[1 : found.start()], line[found.end() : -2]
    between = b"," if before and after else b""
    return b"{%b%b%b}" % (before, between, after), found[1].decode("ascii")
