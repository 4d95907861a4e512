"""Verifying a bag: that nothing in it was lost, added or altered since it was made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from landscape_compat.export.bag.bag import is_page
from landscape_compat.export.verify.bag_files import bag_files
from landscape_compat.export.verify.comparison import compare_with_source
from landscape_compat.export.verify.findings import Verification
from landscape_compat.export.verify.manifests import check_manifests
from landscape_compat.export.verify.payload import check_payload
from landscape_compat.export.verify.seals import Verifiers, check_seals
from landscape_compat.export.verify.testimony import check_statement

__all__ = ["verify_bag"]

_NO_VERIFIERS: Final = Verifiers()


def verify_bag(
    bag: str | os.PathLike[str],
    *,
    sources: Sequence[str | os.PathLike[str] | URL] = (),
    verifiers: Verifiers = _NO_VERIFIERS,
    passphrase: str | None = None,
) -> Verification:
    """Verify a bag that `export_bag` made.

    Everything that its files say of each other is compared: the manifests with the files, the
    statement with its schema, with the payload and with the database's own digests, and the
    records with the numbers that are stated.

    Args:
        bag: Its folder, or its zip file.
        sources: The databases that it was made from, in that order, to compare its records with
            what they hold now.
        verifiers: The keys to verify its signatures by.
        passphrase: What a source is encrypted by, if one is; of no effect if not.

    Raises:
        OutputError: There is no bag in that place.
        LandscapeCompatError: A source cannot be read, or a tool that verifies is not at hand.
    """
    path = Path(bag)
    found = Verification(path)
    with bag_files(path) as files:
        for what in files.container:
            found.find(path.name, what)
        if found.findings and not files.sizes:
            return found
        digests = check_manifests(files, found)
        predicate = check_statement(files, digests, found)
        if predicate is not None:
            signing = predicate["signing"]
            check_seals(files, signing and signing["key_id"], verifiers, found)
            check_payload(files, predicate, verifiers.key, found)
            found.unchecked += [
                f"what {name} shows: it is drawn for people"
                for name in files.sizes
                if is_page(name)
            ]
            if sources:
                compare_with_source(files, predicate, sources, found, passphrase)
            else:
                found.unchecked.append("what the databases hold: none was given (--source)")
    return found
