"""Run all tests on every supported Python on this machine, with old and new SQLAlchemy.

    python3 tests/run.py                    every Python, and every series of SQLAlchemy
    python3 tests/run.py --pairs            every Python with every series
    python3 tests/run.py --quick            this Python, newest SQLAlchemy
    python3 tests/run.py --lint             linters, types and documentation as well
    python3 tests/run.py -- -k fingerprint  what follows -- goes to pytest

Needs Python 3.11 or newer and nothing else. Environments are kept in .cache/ and made anew when
the project's metadata changes; the project itself is always read from the checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

if sys.version_info < (3, 11):  # noqa: UP036 - said clearly instead of failing somewhere below
    sys.exit("tests/run.py needs Python 3.11 or newer")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.venvs import (  # noqa: E402 - found by the line above
    VenvError,
    cache_folder,
    child_environment,
    environment,
)

OLDEST = (3, 11)
NEWEST = (3, 14)
OLDEST_SQLITE = (3, 35, 0)
SERIES = {"2.0": "sqlalchemy>=2.0,<2.1", "2.1": "sqlalchemy>=2.1,<2.2"}
LOWEST = "lowest"
PROBE = """
import json, sqlite3, sys
try:
    import ensurepip, venv
    complete = bool(ensurepip.version())
except (ImportError, AttributeError):
    complete = False
facts = {"version": sys.version_info[:2], "sqlite": sqlite3.sqlite_version_info}
print(json.dumps({**facts, "complete": complete}))
"""
# How many seconds an environment's tests may take. Those that hang are told by pytest, with where;
# this is for what hangs outside of them.
LONGEST = 4500
# What else is checked, by the sessions of noxfile.py.
SESSIONS = ("lint", "types", "docs", "packaging")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one environment did."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    fault: str = ""
    output: str = ""


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments ask for; 0 means that everything passed."""
    at = list(arguments).index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(
        prog="tests/run.py",
        description="Run all tests.",
        epilog="What follows -- goes to pytest.",
    )
    parser.add_argument("--quick", action="store_true", help="this Python, newest SQLAlchemy")
    parser.add_argument("--pairs", action="store_true", help="each Python with each SQLAlchemy")
    parser.add_argument("--lint", action="store_true", help="linters, types and docs as well")
    parser.add_argument("--jobs", type=int, default=2, help="environments at a time (2)")
    options = parser.parse_args(arguments[:at])

    cells = [(sys.executable, "2.1")]
    if not options.quick:
        cells = list(_matrix(_pythons(), pairs=options.pairs))
    with cache_folder(ROOT) as cache, ThreadPoolExecutor(max(1, options.jobs)) as pool:
        running = [
            pool.submit(_test, cache, python, series, arguments[at + 1 :])
            for python, series in cells
        ]
        # Behind them: an odd number of environments leaves a processor idle in the end.
        checking = pool.submit(lambda: list(_lint(cache))) if options.lint else None
        outcomes = [test.result() for test in running]
        checks = checking.result() if checking else []
    return _report(outcomes, checks)


def _pythons() -> dict[tuple[int, int], str]:
    """Find one interpreter that really starts for each supported version."""
    found: dict[tuple[int, int], str] = {}
    candidates = {
        os.path.realpath(candidate): candidate for candidate in reversed([*_candidates()])
    }
    for candidate in reversed(candidates.values()):
        facts = _probe(candidate)
        if facts is None:
            continue
        version: tuple[int, int] = tuple(facts["version"])
        if version in found or not OLDEST <= version <= NEWEST:
            continue
        if tuple(facts["sqlite"]) < OLDEST_SQLITE:
            _say(f"passed over {candidate}: its SQLite is older than 3.35")
        elif not facts["complete"]:
            _say(f"passed over {candidate}: it has no venv or no ensurepip")
        else:
            found[version] = candidate
    return dict(sorted(found.items())) or {sys.version_info[:2]: sys.executable}


def _candidates() -> Iterator[str]:
    yield sys.executable
    names = [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]
    for folder in os.get_exec_path():
        for name in names:
            yield from _executables([Path(folder) / name])
    pyenv = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"))  # noqa: PTH111
    for name in names:
        # Newest patch release first.
        folders = sorted(_listing(pyenv / "versions"), key=_numbers, reverse=True)
        yield from _executables(folder / "bin" / name for folder in folders)


def _listing(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _numbers(folder: Path) -> list[int]:
    return [int(part) for part in folder.name.split(".") if part.isdigit()]


def _executables(files: Iterable[Path]) -> Iterator[str]:
    for file in files:
        if shutil.which(file):
            yield str(file)


def _probe(python: str) -> dict[str, Any] | None:
    # A shim of a version manager may exist and still refuse to start.
    try:
        done = subprocess.run(
            [python, "-c", PROBE],
            check=True,
            capture_output=True,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        facts: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return facts


def _matrix(
    pythons: Mapping[tuple[int, int], str], *, pairs: bool = False
) -> Iterator[tuple[str, str]]:
    """Give each Python a series of SQLAlchemy: the oldest the lowest, the newest the newest.

    Those between get the newest of the older series. With `pairs`, each gets each.
    """
    oldest, newest = min(pythons), max(pythons)
    for version, python in pythons.items():
        if pairs or version == oldest:
            yield python, LOWEST
        if pairs or oldest < version < newest:
            yield python, "2.0"
        if pairs or version == newest:
            yield python, "2.1"


def _versions(series: str) -> list[str]:
    """Say what to install beside the project, so that a series is what is tested."""
    if series != LOWEST:
        return [SERIES[series]]
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    bounds = [re.match(r"([\w-]+)>=([\w.]+)", text) for text in metadata["project"]["dependencies"]]
    return [f"{bound[1]}=={bound[2]}" for bound in bounds if bound]


def _test(cache: Path, python: str, series: str, arguments: Sequence[str]) -> Outcome:
    facts = _probe(python)
    version = ".".join(map(str, facts["version"])) if facts else "3"
    kind = "lowest versions" if series == LOWEST else f"SQLAlchemy {series}"
    name = f"Python {version}, {kind}"
    try:
        interpreter = _project(cache / f"py{version}-sa{series}", python, series)
    except VenvError as failure:
        return _told(Outcome(name, fault="no environment", output=str(failure)))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "junit.xml"
        done = _run(
            [
                *(interpreter, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                f"--junitxml={report}",
                *arguments,
            ],
        )
        return _told(_outcome(name, done, report))


def _run(command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    # To a file: what is left running by a test that failed would keep a pipe open.
    with tempfile.TemporaryFile() as output:
        running = subprocess.Popen(
            command,
            cwd=ROOT,
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        said = _await(running)
        output.seek(0)
        text = output.read().decode("utf-8", "replace") + said
    return subprocess.CompletedProcess(command, running.returncode, text)


def _await(running: subprocess.Popen[bytes]) -> str:
    try:
        running.wait(LONGEST)
    except subprocess.TimeoutExpired:
        running.send_signal(signal.SIGABRT)  # pytest prints where each thread is
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        return f"\nNot done after {LONGEST} s, it was ended."
    return ""


def _outcome(name: str, done: subprocess.CompletedProcess[str], report: Path) -> Outcome:
    try:
        suite = ElementTree.parse(report).getroot().find("testsuite")
    except (OSError, ElementTree.ParseError):
        suite = None
    if suite is None:
        return Outcome(name, fault=f"pytest ended with {done.returncode}", output=done.stdout)
    count = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
    failed = count["failures"] + count["errors"]
    passed = count["tests"] - failed - count["skipped"]
    fault = "" if passed else "no test ran"
    return Outcome(
        name=name,
        passed=passed,
        failed=failed,
        skipped=count["skipped"],
        fault=f"pytest ended with {done.returncode}" if done.returncode else fault,
        output=done.stdout,
    )


def _lint(cache: Path) -> Iterator[Outcome]:
    try:
        interpreter = environment(cache / "nox", ["nox>=2025.2"], made_from="")
    except VenvError as failure:
        yield _told(Outcome("checks", fault="no environment", output=str(failure)))
        return
    for session in SESSIONS:
        done = _run(
            [
                *(interpreter, "-m", "nox", "--noxfile", ROOT / "noxfile.py"),
                *("--envdir", cache / "sessions", "--session", session),
            ],
        )
        fault = f"ended with {done.returncode}" if done.returncode else ""
        yield _told(Outcome(session, fault=fault, output=done.stdout))


def _project(folder: Path, python: str, series: str) -> Path:
    # An editable installation runs the checkout's code; only the metadata can grow old.
    metadata = sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    requirements = ["--editable", f"{ROOT}[test]", *_versions(series)]
    if not (folder / "made-from.json").exists():
        _say(f"making {folder.name}")
    return environment(folder, requirements, made_from=metadata, python=python)


def _told(outcome: Outcome) -> Outcome:
    """Print how pytest closed, or everything if something is wrong."""
    lines = outcome.output.rstrip().splitlines()
    if not outcome.fault:
        closing = (at for at, line in enumerate(lines) if "short test summary" in line)
        lines = lines[next(closing, len(lines) - 1) :]
    _say(f"\n== {outcome.name}", *lines, sep="\n   ")
    return outcome


def _report(outcomes: Sequence[Outcome], checks: Sequence[Outcome]) -> int:
    _say(f"\n{'environment':<32}{'passed':>8}{'failed':>8}{'skipped':>9}")
    for one in outcomes:
        counts = f"{one.passed:>8}{one.failed:>8}{one.skipped:>9}"
        _say(f"{one.name:<32}{counts}  {one.fault}".rstrip())
    for check in checks:
        _say(f"{check.name:<32}{check.fault or 'clean':>8}")
    passed = sum(one.passed for one in outcomes)
    # What ended badly without a failed test counts as one.
    failed = sum(max(one.failed, bool(one.fault)) for one in (*outcomes, *checks))
    skipped = sum(one.skipped for one in outcomes)
    _say(f"\n{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


def _say(*lines: str, sep: str = " ") -> None:
    print(*lines, sep=sep, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
