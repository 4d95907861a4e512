"""Altering a bag as somebody would who puts every digest right again."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import rfc8785

from landscape_compat.export.bag.bag import manifest

__all__ = ["STATEMENT", "forge", "names_in", "seal"]

STATEMENT = "metadata/export.intoto.json"


def names_in(bag: Path) -> list[str]:
    """Name the files of a bag."""
    return sorted(p.relative_to(bag).as_posix() for p in bag.rglob("*") if p.is_file())


def forge(bag: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Alter what the statement says, and put every digest right again."""
    statement = json.loads((bag / STATEMENT).read_bytes())
    change(statement)
    for file in statement["predicate"]["payload"]:
        if (bag / file["name"]).is_file():
            data = (bag / file["name"]).read_bytes()
            file |= {"bytes": len(data), "sha256": sha256(data).hexdigest()}
    statement["subject"] = [
        {"name": file["name"], "digest": {"sha256": file["sha256"]}}
        for file in statement["predicate"]["payload"]
    ]
    (bag / STATEMENT).write_bytes(rfc8785.dumps(statement))
    seal(bag)


def seal(bag: Path) -> None:
    """Write the manifests anew, as whoever alters a bag can."""
    digests = {name: sha256((bag / name).read_bytes()).hexdigest() for name in names_in(bag)}
    payload = {name: digest for name, digest in digests.items() if name.startswith("data/")}
    (bag / "manifest-sha256.txt").write_bytes(manifest(payload))
    tags = {n: d for n, d in digests.items() if not n.startswith(("data/", "tagmanifest"))}
    tags["manifest-sha256.txt"] = sha256((bag / "manifest-sha256.txt").read_bytes()).hexdigest()
    (bag / "tagmanifest-sha256.txt").write_bytes(manifest(tags))
