"""Checking a bag against its own manifests: what is there, what is listed, and every digest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from landscape_compat.errors import count_of
from landscape_compat.export.bag.bag import (
    BAG_INFO,
    BAGIT,
    DATA,
    DECLARATION,
    MANIFEST,
    STATEMENT,
    TAG_MANIFEST,
    is_page,
    manifest,
)
from landscape_compat.export.verify.bag_files import UNREADABLE, BagFiles, Files
from landscape_compat.export.verify.findings import Verification

__all__ = ["MOST_TAG_BYTES", "check_manifests", "digest_of", "read_tag"]

MOST_TAG_BYTES: Final = 1 << 28
_LINE = re.compile(r"([0-9a-f]{64})  ([^\n\r]+)")
_UNSAFE = re.compile(r"(^|/)\.{0,2}(/|$)|\\|\x00")
_CHUNK = 1 << 20
# Source: RFC 8493, 2.1.3, 2.2.1 and 2.2.3: what else says of a bag what belongs to it.
_MANIFEST_OF_OTHERS = re.compile(r"(tag)?manifest-[^/]+\.txt|fetch\.txt")
_OF_EXPORT: Final = (BAGIT, BAG_INFO, STATEMENT)
# Signatures may come to a bag after it was sealed, so that no manifest can list them.
_SIGNATURES: Final = (
    f"{STATEMENT}.sig",
    f"{STATEMENT}.dsse.json",
    f"{STATEMENT}.sigstore.json",
    f"{TAG_MANIFEST}.sig",
)


def check_manifests(bag: BagFiles, found: Verification) -> Mapping[str, str]:
    """Check that a bag holds what its manifests list, and nothing else, with those digests.

    Args:
        bag: The bag.
        found: Takes what is wrong.

    Returns:
        The SHA-256 of each file of the payload as it is.
    """
    for name, what in bag.odd.items():
        found.find(name, f"{what}, which no bag holds")
    for name in (BAGIT, BAG_INFO, MANIFEST, TAG_MANIFEST):
        if name not in bag.sizes:
            found.find(name, "is missing")
    if read_tag(bag, BAGIT, found) not in (None, DECLARATION):
        found.find(BAGIT, "is not the declaration of a bag of BagIt 1.0 in UTF-8")
    listed = _read_manifest(bag, MANIFEST, found)
    tags = _read_manifest(bag, TAG_MANIFEST, found)
    payload = {name for name in bag.sizes if name.startswith(f"{DATA}/")}
    for name in sorted(name for name in listed if not name.startswith(f"{DATA}/")):
        found.find(MANIFEST, f"lists {name}, which is not of the payload")
    for name in sorted(name for name in tags if name.startswith(f"{DATA}/")):
        found.find(TAG_MANIFEST, f"lists {name}, which is of the payload")
    loose = bag.sizes.keys() - payload - {TAG_MANIFEST, *_SIGNATURES}
    others = loose - {MANIFEST}
    for names, digests, by in ((payload, listed, MANIFEST), (loose, tags, TAG_MANIFEST)):
        for name in sorted(names - digests.keys()):
            found.find(name, f"is not listed in {by}: it was added, or the list was altered")
    for name in sorted(others):
        if _MANIFEST_OF_OTHERS.fullmatch(name):
            found.find(name, "other tools judge a bag by it, and `export` writes none")
        elif name not in _OF_EXPORT and not is_page(name):
            found.unchecked.append(f"what {name} holds: `export` writes no such file")
    actual = {}
    for by, digests in ((MANIFEST, listed), (TAG_MANIFEST, tags)):
        for name, digest in digests.items():
            if name not in bag.sizes:
                found.find(name, f"is listed in {by} and missing")
                continue
            is_so = digest_of(bag, name, found)
            if is_so is None:
                continue
            actual[name] = is_so
            if is_so != digest:
                found.find(name, f"its SHA-256 is {is_so}, and {by} says {digest}")
    size = sum(bag.sizes[name] for name in payload)
    oxum = f"Payload-Oxum: {size}.{len(payload)}\n".encode()
    info = read_tag(bag, BAG_INFO, found)
    if info is not None and oxum not in info:
        found.find(BAG_INFO, f"does not say {oxum.decode().strip()}, which the payload has")
    found.checked.append(
        f"{count_of(len(payload), 'file')} of the payload, {count_of(size, 'byte')}, and "
        f"{count_of(len(tags), 'tag file')} against their digests"
    )
    return {name: digest for name, digest in actual.items() if name in payload}


def strangers(bag: BagFiles) -> list[str]:
    """Name what lies in a bag and is not of it: what no manifest lists.

    Args:
        bag: The bag.
    """
    found = Verification("")
    listed = {**_read_manifest(bag, MANIFEST, found), **_read_manifest(bag, TAG_MANIFEST, found)}
    own = {BAGIT, BAG_INFO, MANIFEST, TAG_MANIFEST, *_SIGNATURES}
    return sorted({*bag.sizes, *bag.odd} - listed.keys() - own)


def read_tag(bag: Files, name: str, found: Verification) -> bytes | None:
    """Read a tag file whole.

    Args:
        bag: The bag, or the dataset.
        name: The file.
        found: Takes what is wrong.
    """
    if bag.sizes.get(name, MOST_TAG_BYTES + 1) > MOST_TAG_BYTES:
        if name in bag.sizes:
            found.find(name, f"is longer than {MOST_TAG_BYTES} bytes, so it was not read")
        return None
    try:
        with bag.open(name) as file:
            return file.read(MOST_TAG_BYTES)
    except UNREADABLE as error:
        found.find(name, f"cannot be read: {error}")
        return None


def _read_manifest(bag: BagFiles, name: str, found: Verification) -> dict[str, str]:
    content = read_tag(bag, name, found)
    if content is None:
        return {}
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        found.find(name, f"is no UTF-8: {error}")
        text = content.decode(errors="replace")
    digests: dict[str, str] = {}
    for number, line in enumerate(text.split("\n")[:-1], 1):
        parts = _LINE.fullmatch(line)
        file = parts[2].replace("%0A", "\n").replace("%0D", "\r") if parts else ""
        file = file.replace("%25", "%")
        if parts is None or _UNSAFE.search(file):
            found.find(f"{name} line {number}", "is no digest and name of a file in the bag")
        elif file in digests:
            found.find(f"{name} line {number}", f"lists {file} again")
        else:
            digests[file] = parts[1]
    if content != manifest(digests):
        found.find(name, "is not as it was written: sorted, a line for each file, each with an end")
    return digests


def digest_of(bag: Files, name: str, found: Verification) -> str | None:
    """Digest a file; None if it cannot be read.

    Args:
        bag: The bag, or the dataset.
        name: The file.
        found: Takes what is wrong.

    Returns:
        The SHA-256 of what it holds, in hexadecimal.
    """
    digest = sha256()
    try:
        with bag.open(name) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except UNREADABLE as error:
        found.find(name, f"cannot be read: {error}")
        return None
    return digest.hexdigest()
