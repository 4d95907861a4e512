"""Verify a bag, a dataset or a migrated database: digests, statement, rows, and its source."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from landscape_compat.cli.passphrase import ask_passphrase
from landscape_compat.cli.talk import print_json
from landscape_compat.errors import ExitCode, LandscapeCompatError, printable

if TYPE_CHECKING:
    from landscape_compat.export.verify.findings import Verification

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "bag",
        metavar="BAG",
        help="the folder or zip file that `export` wrote, the dataset that it wrote in a folder or "
        "at a URL, or the database that `migrate` made: a file, or a URL",
    )
    parser.add_argument(
        "--proof",
        metavar="FILE",
        help="the proof of a migrated database, where it does not lie beside it",
    )
    parser.add_argument(
        "--source",
        metavar="DB",
        action="append",
        default=[],
        help="compare with this database again; once for each that was exported, in that order",
    )
    parser.add_argument(
        "--key-file",
        metavar="FILE",
        help="the file that holds the key that records are signed by (or $ELSPETH_SIGNING_KEY)",
    )
    parser.add_argument(
        "--allowed-signers",
        metavar="FILE",
        type=Path,
        help="who may sign the statement by ssh-keygen, in its form of that",
    )
    parser.add_argument(
        "--pem-key", metavar="FILE", type=Path, help="the public key of the DSSE envelope, in PEM"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(says_all=True)  # what a database lacks is told by the bag


def run(options: argparse.Namespace) -> int:
    """Verify a bag, a dataset, or a migrated database."""
    found = _verified(options)
    if options.json:
        print_json("verify", found.to_dict())
    else:
        for finding in found.findings:
            print(f"WRONG      {finding}")
        for text in found.checked:
            print(f"checked    {printable(text)}")
        for text in found.unchecked:
            print(f"unchecked  {printable(text)}")
        verdict = "is sound" if found.is_sound else "is NOT sound"
        print(f"{printable(found.path)} {verdict}")
    return ExitCode.DONE if found.is_sound else ExitCode.INTEGRITY


def _verified(options: argparse.Namespace) -> Verification:
    from landscape_compat.export.verify.dataset import is_dataset, verify_dataset
    from landscape_compat.migrate.verify import is_migrated, verify_migration

    is_set = not options.proof and is_dataset(options.bag)
    if not (options.proof or is_set or is_migrated(options.bag)):
        return _verified_bag(options)
    what = "dataset" if is_set else "migrated database"
    if len(options.source) > 1:
        raise LandscapeCompatError(
            f"A {what} has one source, but several were given.",
            remedy="Give --source once.",
        )
    if options.key_file or options.allowed_signers or options.pem_key:
        raise LandscapeCompatError(
            f"A {what} has no signatures of ours, so a key verifies nothing in it.",
            remedy="Leave the key out; verify the statement's file by the tool that signed it.",
        )
    source = next(iter(options.source), None)
    if is_set:
        passphrase = ask_passphrase(options.source)
        return verify_dataset(options.bag, source=source, passphrase=passphrase)
    return verify_migration(options.bag, source=source, proof=options.proof)


def _verified_bag(options: argparse.Namespace) -> Verification:
    import os

    from landscape_compat.export.signing.signing import read_key
    from landscape_compat.export.verify.seals import Verifiers
    from landscape_compat.export.verify.verify import verify_bag

    verifiers = Verifiers(
        key=read_key(options.key_file, os.environ),
        # One in the environment is there for all bags, signed or not.
        must_be_signed=options.key_file is not None,
        allowed_signers=options.allowed_signers,
        pem_key=options.pem_key,
    )
    return verify_bag(
        options.bag,
        sources=options.source,
        verifiers=verifiers,
        passphrase=ask_passphrase(options.source),
    )
