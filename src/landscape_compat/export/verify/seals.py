"""Signatures of a statement that standard tools make and verify: DSSE for cosign, and OpenSSH's.

Source: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md and
https://man.openbsd.org/ssh-keygen#Y.
"""

from __future__ import annotations

import base64
import hmac
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from landscape_compat.errors import LandscapeCompatError, printable
from landscape_compat.export.bag.bag import STATEMENT
from landscape_compat.export.signing.signing import SigningKey
from landscape_compat.export.verify.bag_files import BagFiles
from landscape_compat.export.verify.findings import Verification
from landscape_compat.export.verify.manifests import read_tag

__all__ = ["DSSE", "SSH", "Seals", "Verifiers", "check_seals", "seal_statement"]

DSSE: Final = f"{STATEMENT}.dsse.json"
SSH: Final = f"{STATEMENT}.sig"
_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_NAMESPACE: Final = "landscape-compat"


@dataclass(frozen=True, slots=True)
class Seals:
    """What a statement is to be signed by; the private keys stay in their files.

    Args:
        ssh_key: A private key that `ssh-keygen -Y sign` takes, or the public one of a key in an
            agent.
        pem_key: A private key in PEM that `openssl dgst -sign` takes, as `cosign` wants one of
            the curve P-256.
    """

    ssh_key: Path | None = None
    pem_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Verifiers:
    """What the signatures of a bag are to be verified by.

    Args:
        key: The key that its records are signed by.
        allowed_signers: Who may sign, as `ssh-keygen -Y verify` reads it.
        pem_key: A public key in PEM.
        must_be_signed: Whether a bag that nobody signed by a key like `key` is unsound; else it is
            only told that the key verified nothing.
    """

    key: bytes | None = None
    allowed_signers: Path | None = None
    pem_key: Path | None = None
    must_be_signed: bool = True


def seal_statement(statement: bytes, seals: Seals, signer: SigningKey | None) -> dict[str, bytes]:
    """Sign a statement.

    Args:
        statement: The statement.
        seals: What to sign it by.
        signer: The key that records are signed by, if they are.

    Returns:
        The files with the signatures, by their names within the bag.

    Raises:
        LandscapeCompatError: A tool is not at hand, or does not take a key.
    """
    made = {}
    signed = _authenticated(statement)
    signatures = []
    if signer:
        sig = hmac.new(signer.key, signed, sha256).digest()
        signatures.append({"keyid": signer.key_id, "sig": _base64(sig)})
    if seals.pem_key:
        sig = _run(["openssl", "dgst", "-sha256", "-sign", str(seals.pem_key)], signed)
        public = ["openssl", "pkey", "-in", str(seals.pem_key), "-pubout", "-outform", "DER"]
        signatures.append({"keyid": sha256(_run(public)).hexdigest(), "sig": _base64(sig)})
    if signatures:
        envelope = {
            "payload": _base64(statement),
            "payloadType": _PAYLOAD_TYPE,
            "signatures": signatures,
        }
        made[DSSE] = json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode() + b"\n"
    if seals.ssh_key:
        sign = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(seals.ssh_key), "-n", _NAMESPACE]
        made[SSH] = _run(sign, statement)
    return made


def check_seals(
    bag: BagFiles, key_id: str | None, verifiers: Verifiers, found: Verification
) -> None:
    """Check the signatures of a bag's statement.

    Args:
        bag: The bag.
        key_id: The name of the key that its records are signed by, if they are.
        verifiers: What to verify by.
        found: Takes what is wrong.

    Raises:
        LandscapeCompatError: A tool is not at hand.
    """
    statement = read_tag(bag, STATEMENT, found) or b""
    # Whoever alters a bag can as well say that nobody signed it.
    if verifiers.key and not key_id:
        if verifiers.must_be_signed:
            found.find(STATEMENT, "says that nothing is signed, and a key was given to verify by")
        else:
            found.unchecked.append("any signature by a key: the statement says that there is none")
    if DSSE in bag.sizes:
        _check_envelope(bag, statement, key_id, verifiers, found)
    elif verifiers.pem_key or (verifiers.key and key_id):
        found.find(DSSE, "is missing, so that the statement is not signed by that key")
    if verifiers.allowed_signers:
        _check_ssh(bag, statement, verifiers.allowed_signers, found)
    elif SSH in bag.sizes:
        found.unchecked.append(f"{SSH}: it is not said who may sign (--allowed-signers)")


def _check_envelope(
    bag: BagFiles,
    statement: bytes,
    key_id: str | None,
    verifiers: Verifiers,
    found: Verification,
) -> None:
    try:
        envelope = json.loads(read_tag(bag, DSSE, found) or b"")
        payload = base64.b64decode(envelope["payload"], validate=True)
        type_ = envelope["payloadType"]
        signatures = [
            (str(one.get("keyid", "")), base64.b64decode(one["sig"], validate=True))
            for one in envelope["signatures"]
        ]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        found.find(DSSE, f"is no DSSE envelope: {error!r}")
        return
    if (payload, type_) != (statement, _PAYLOAD_TYPE):
        found.find(DSSE, "is about another statement")
    signed = _authenticated(statement)
    if verifiers.key and key_id:
        good = hmac.new(verifiers.key, signed, sha256).digest()
        if not any(hmac.compare_digest(sig, good) for _, sig in signatures):
            found.find(DSSE, f"is not signed by the key {key_id}")
        else:
            found.checked.append(f"the statement's signature by the key {key_id}")
    if verifiers.pem_key:
        if any(_openssl_verifies(verifiers.pem_key, signed, sig) for _, sig in signatures):
            found.checked.append("the statement's signature by the public key")
        else:
            found.find(DSSE, "is not signed by the public key that was given")
    if not verifiers.pem_key and not (verifiers.key and key_id):
        found.unchecked.append(f"{DSSE}: no key was given to verify it by")


def _check_ssh(bag: BagFiles, statement: bytes, allowed: Path, found: Verification) -> None:
    if SSH not in bag.sizes:
        found.find(SSH, "is missing, so that the statement is not signed by anybody allowed")
        return
    signature = read_tag(bag, SSH, found)
    if signature is None:
        return
    with tempfile.TemporaryDirectory(prefix="landscape-compat-") as folder:
        file = Path(folder) / "statement.sig"
        file.write_bytes(signature)
        common = ["-s", str(file), "-f", str(allowed)]
        find = ["ssh-keygen", "-Y", "find-principals", *common]
        who = _asked(find, b"").stdout.decode().split("\n")[0]
        verify = ["ssh-keygen", "-Y", "verify", *common, "-n", _NAMESPACE, "-I", who.strip()]
        done = _asked(verify, statement)
    if not who or done.returncode:
        found.find(SSH, "is no signature of the statement by anybody who is allowed")
    else:
        found.checked.append(f"the statement's signature by {printable(who.strip())}")


def _openssl_verifies(public: Path, signed: bytes, signature: bytes) -> bool:
    with tempfile.NamedTemporaryFile(prefix="landscape-compat-") as file:
        file.write(signature)
        file.flush()
        command = ["openssl", "dgst", "-sha256", "-verify", str(public), "-signature", file.name]
        done = _asked(command, signed)
    return done.returncode == 0


def _authenticated(statement: bytes) -> bytes:
    """Put the statement and its type together as DSSE signs them."""
    kind = _PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(statement), statement)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _asked(command: Sequence[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    """Ask a tool whether a signature is good."""
    what = "the signature cannot be verified", "verify the bag without that signature"
    return _tool(command, data, what)


def _run(command: Sequence[str], data: bytes = b"") -> bytes:
    what = "the statement cannot be signed", f"sign {STATEMENT} afterwards"
    done = _tool(command, data, what)
    if done.returncode:
        said = printable(done.stderr.decode(errors="replace").strip())
        raise LandscapeCompatError(
            f"{command[0]} did not sign the statement: {said}",
            remedy="Check the key, its permissions and its password.",
        )
    return done.stdout


def _tool(
    command: Sequence[str], data: bytes, otherwise: tuple[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Run a tool; where it is not at hand, say what cannot be done and what can instead."""
    try:
        return subprocess.run(command, input=data, capture_output=True, check=False)
    except FileNotFoundError as error:
        cannot, instead = otherwise
        raise LandscapeCompatError(
            f"{command[0]} is not at hand, so {cannot} by it.",
            remedy=f"Install {command[0]}, or {instead}.",
        ) from error
