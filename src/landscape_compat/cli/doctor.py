"""Tell whether and how a database can be read safely, and in what condition it is."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from landscape_compat.cli.passphrase import ask_passphrase
from landscape_compat.cli.talk import print_json, print_table
from landscape_compat.errors import ExitCode

if TYPE_CHECKING:
    from landscape_compat.engine.diagnosis import Diagnosis
    from landscape_compat.engine.states import Facts

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("database", metavar="DB", help="a path or a SQLAlchemy URL of a file")
    parser.add_argument(
        "--check",
        choices=("quick", "full", "none"),
        default="quick",
        help="SQLite's own check: of every page (quick, the default), also of indexes, or none",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(says_all=True)


def run(options: argparse.Namespace) -> int:
    """Diagnose a database."""
    from landscape_compat.landscape.inspection import diagnose_database

    passphrase = ask_passphrase((options.database,))
    found = diagnose_database(options.database, check=options.check, passphrase=passphrase)
    if options.json:
        print_json("doctor", found.to_dict())
    else:
        _print(found)
    if not found.readable:
        return ExitCode.OPERATIONAL
    return ExitCode.INTEGRITY if found.problems else ExitCode.DONE


def _print(found: Diagnosis) -> None:
    print(f"database    {found.database}")
    if found.path and found.path != found.database:
        print(f"file        {found.path}")
    verdict = "can be read safely" if found.readable else "cannot be read safely"
    print(f"verdict     {verdict}{', but is damaged' if found.problems else ''}")
    if found.readable:
        print(f"state       {found.state}")
        print(f"opened      {found.way}")
        print(f"why         {found.reason}")
    else:
        print(f"refusal     {found.refusal or 'other'}")
        print(f"why         {found.reason}")
    if found.remedy:
        print(f"next        {found.remedy}")
    if found.facts is not None:
        print(f"journal     {_journal(found.facts)}")
        print(f"used by     {_LOCKS[found.facts.lock]}")
    print(f"encryption  {_ENCRYPTION[found.encryption]}")
    if found.problems is not None:
        print(f"integrity   {'damaged' if found.problems else 'no damage found'}")
        for problem in found.problems:
            print(f"            {problem}")
    if found.locks:
        print(f"locked by   {', '.join(found.locks)}")
    if found.header:
        print(f"header      {', '.join(f'{name} {value}' for name, value in found.header.items())}")
    print(f"versions    {', '.join(f'{name} {number}' for name, number in found.versions.items())}")
    if found.files:
        print()
        print_table(("FILE", "BYTES", "MODE"), ((f.name, f.size, f.mode) for f in found.files))


_LOCKS = {
    "nobody": "nobody, as far as locks tell",
    "reader": "a program that has it open and is not writing at this moment",
    "writer": "a program that is writing",
    "unknown": "not to be told on this platform",
    "failing": "not to be told: this file system cannot lock",
}
_ENCRYPTION = {
    "none": "none",
    "sqlcipher": "SQLCipher, read by the passphrase",
    "suspected": "suspected: it does not begin as a SQLite database",
    "unknown": "not looked at",
}


def _journal(facts: Facts) -> str:
    mode = "WAL" if facts.wal_mode else "rollback"
    parts = [f"-wal {facts.wal}" if facts.wal != "absent" else "no -wal"]
    parts.append("-shm readable" if facts.shm else "no -shm")
    parts.append(f"-journal {facts.journal}" if facts.journal == "hot" else "no hot -journal")
    return f"{mode}; {', '.join(parts)}"
