"""Every version of the host against every database, with and without the shim, as a table.

Not a test: run it by hand, with a folder of unpacked checkouts of the host and a folder of
databases, each with the records that its own build exported beside it (`NAME.expected.jsonl`).
It writes `docs/reference/compatibility.md` and ends with 1 if a shimmed cell is not whole.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.host_cell import answer_name
from support.host_result import Cell, Host, compared, plain
from support.host_table import document

ROOT = Path(__file__).resolve().parent.parent
CELL = Path(__file__).with_name("support") / "host_cell.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the matrix and write the table.

    Args:
        arguments: The command line; None for the process's own.
    """
    options = parser().parse_args(arguments)
    hosts = hosts_in(options.hosts, options.only)
    databases = sorted(options.databases.rglob("*.db"))
    if not hosts or not databases:
        raise SystemExit("There is no checkout of the host, or no database, in these folders.")
    halves = {"both": (False, True), "native": (False,), "shim": (True,)}[options.half]
    with ThreadPoolExecutor(options.jobs) as pool:
        jobs = [(host, shimmed) for host in hosts for shimmed in halves]
        found = pool.map(lambda job: read(job[0], job[1], databases, options.keep), jobs)
        cells = compared([cell for half in found for cell in half])
    if options.json:
        options.json.write_text("".join(f"{json.dumps(plain(cell))}\n" for cell in cells))
    options.output.write_text(document(cells))
    return int(any(cell.problems for cell in cells if cell.shimmed))


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--hosts",
        type=Path,
        required=True,
        metavar="DIR",
        help="a folder of checkouts, one folder each; its interpreter is NAME/venv or DIR/venv, "
        "or what a file `python` there names, or else this one; its age is that of its "
        "pyproject.toml, which `git archive` sets to the commit's",
    )
    made.add_argument(
        "--databases", type=Path, required=True, metavar="DIR", help="a folder of databases"
    )
    made.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        default=ROOT / "docs" / "reference" / "compatibility.md",
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="also write each cell as a line")
    made.add_argument("--jobs", type=int, metavar="N", default=2, help="so many at a time (2)")
    made.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="keep every answer there, and ask for none again that is there",
    )
    made.add_argument("--only", action="append", metavar="NAME", help="only this checkout")
    made.add_argument("--half", choices=("both", "native", "shim"), default="both")
    return made


def hosts_in(folder: Path, only: Iterable[str] | None = None) -> list[Host]:
    """Find the checkouts in a folder, oldest first.

    Args:
        folder: Holds one folder a checkout.
        only: The names of those wanted; None for all.
    """
    found = []
    for path in sorted(folder.iterdir()):
        if not (path / "src" / "elspeth").is_dir() or (only and path.name not in only):
            continue
        committed = (path / "pyproject.toml").stat().st_mtime
        found.append((committed, path.name, Host(path.name, path.resolve(), python_of(path))))
    return [host for *_, host in sorted(found, key=lambda one: one[:2])]


def python_of(checkout: Path) -> Path:
    """Find the interpreter of a checkout: its own, its folder's, or this one."""
    for place in (checkout, checkout.parent):
        if (place / "python").is_file():
            return Path((place / "python").read_text().strip())
        if (place / "venv" / "bin" / "python").exists():
            return place.absolute() / "venv" / "bin" / "python"
    return Path(sys.executable)


def read(host: Host, shimmed: bool, databases: list[Path], keep: Path | None = None) -> list[Cell]:
    """Let one version read every database.

    Args:
        host: The version.
        shimmed: Whether the shim is installed before the host is imported.
        databases: What to read; each is copied first.
        keep: Where answers are kept; a database whose answer is there is not read again. None
            to keep none.
    """
    half = "with the shim" if shimmed else "without it"
    with tempfile.TemporaryDirectory(prefix="host-matrix-") as made:
        folder = Path(made).resolve()
        results = (keep or folder).resolve() / f"{host.name} {half}"
        results.mkdir(parents=True, exist_ok=True)
        job = {
            "shim": shimmed,
            "databases": [str(path.resolve()) for path in databases],
            "scratch": str(folder / "scratch"),
            "results": str(results),
        }
        (folder / "job.json").write_text(json.dumps(job))
        said = ["nothing said"]
        if not all((results / answer_name(path)).exists() for path in databases):
            ended = subprocess.run(
                [host.python, CELL, folder / "job.json"],
                env=environment(host, shimmed, folder),
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            said = ended.stderr.strip().splitlines() or said
        cells = []
        for database in databases:
            answer = results / answer_name(database)
            if answer.exists():
                result = json.loads(answer.read_text())
            else:
                result = {"failure": {"type": "Process", "message": said[-1]}}
            cells.append(Cell(host, database, shimmed, result))
    count = sum(cell.exported for cell in cells)
    print(f"{host.name} {half}: {count} of {len(cells)} exported", file=sys.stderr)
    return cells


def environment(host: Host, shimmed: bool, home: Path) -> dict[str, str]:
    """Make an environment in which the host finds itself, and nothing of its user's."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    paths = [host.path / "src", *([ROOT / "src"] if shimmed else [])]
    return {
        **kept,
        "HOME": str(home),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }


if __name__ == "__main__":
    sys.exit(main())
