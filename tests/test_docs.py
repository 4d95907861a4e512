"""What the documentation shows runs, and prints what the page says it prints."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import structlog

from landscape_compat.cli.main import main, make_parser
from support.documents import LANGUAGES, Block, Step, blocks_of, matches, steps_of
from support.untouched import FileState, state_of
from test_legacy_generator import example

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
LINKING = [*sorted(ROOT.glob("*.md")), *PAGES]
ASKS = "echo $?"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|(https?:[^)>`\s]*)")
ELSEWHERE = re.compile(r"https://([\w-]+\.)+[a-z]+(/[\w./#-]*)?")
EVERY_PAGE = pytest.mark.parametrize(
    "page", PAGES, ids=[str(page.relative_to(ROOT / "docs")) for page in PAGES]
)


class Reader:
    """Does what a page says, from top to bottom."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {"__name__": "page"}
        self._code = 0

    def read(self, block: Block) -> None:
        """Run a block, and compare what it prints with what the page shows."""
        if block.language == "python":
            printed = self._python(block)
            assert matches(block.output or "", printed), (block.page.name, block.line, printed)
        elif block.language == "console":
            steps = steps_of(block)
            for at, step in enumerate(steps):
                asked = [behind.command for behind in steps[at + 1 : at + 2]] == [ASKS]
                self._step(f"{block.page.name}:{block.line}", step, asked=asked)

    def _python(self, block: Block) -> str:
        lines = "\n" * block.line + block.text  # so that a traceback names the page's line
        said = io.StringIO()
        with redirect_stdout(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(lines, str(block.page), "exec"), self._names)
        return said.getvalue()

    def _step(self, where: str, step: Step, *, asked: bool) -> None:
        if step.command == ASKS:
            assert step.shown.strip() == str(self._code), (where, self._code)
            return
        words = shlex.split(step.command)
        if words[0] == "landscape-compat" and not set(step.command) & set("|<>;&$`"):
            self._code, printed = _in_process(words[1:])
        else:
            self._code, printed = _in_shell(step.command)
        assert asked or self._code == 0, (where, step.command, self._code, printed)
        assert not step.shown or matches(step.shown, printed), (where, step.command, printed)


def _in_process(words: list[str]) -> tuple[int, str]:
    raw = io.BytesIO()
    said = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    try:
        with redirect_stdout(said), redirect_stderr(said):
            code = main(words)
    finally:
        structlog.reset_defaults()
    return code, raw.getvalue().decode()


def _in_shell(command: str) -> tuple[int, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command],
        check=False,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    return done.returncode, done.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the folder that a reader works in, with the example database in it."""
    example().build(tmp_path / "audit.db")
    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "LINES", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    with warnings.catch_warnings():
        yield tmp_path


def _record(folder: Path) -> tuple[FileState, list[str]]:
    state = state_of(folder / "audit.db")
    return state.file, sorted(name for name in state.listing if name.startswith("audit.db"))


@EVERY_PAGE
def test_a_page_does_what_it_says(page: Path, folder: Path) -> None:
    """Every block that is not marked otherwise runs, and leaves the database as it was."""
    before = _record(folder)
    reader = Reader()
    for block in blocks_of(page):
        if not block.reason:
            reader.read(block)
    if "<!-- changes the record -->" not in page.read_text(encoding="utf-8"):
        assert _record(folder) == before


@EVERY_PAGE
def test_what_is_not_run_is_well_formed(page: Path) -> None:
    """Python compiles, data parses, and every command that is shown exists."""
    for block in blocks_of(page):
        assert block.language in LANGUAGES, (page.name, block.line, block.language)
        if block.language == "python":
            compile(block.text, str(page), "exec")
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language in {"sh", "console"}:
            for words in _commands(block.text):
                _parse(words)


def _commands(text: str) -> Iterator[list[str]]:
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        if words[:1] == ["landscape-compat"]:
            stops = [at for at, word in enumerate(words) if word in {"|", "||", ">", "&&", ";"}]
            yield words[1 : min(stops, default=len(words))]


def _parse(words: list[str]) -> argparse.Namespace:
    try:
        return make_parser().parse_args(words)
    except SystemExit as stop:
        if not stop.code:
            return argparse.Namespace()
        raise AssertionError(f"no such command: landscape-compat {shlex.join(words)}") from None


@pytest.mark.parametrize("page", LINKING, ids=[str(page.relative_to(ROOT)) for page in LINKING])
def test_links_lead_somewhere(page: Path) -> None:
    """One to a file leads to a file, one to a heading to a heading, any other goes by https."""
    for linked, bare in LINK.findall(_prose(page)):
        link = linked or bare
        if re.match(r"[a-z]+:", link):
            assert ELSEWHERE.fullmatch(link), (page.name, link)
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), (page.name, link)
        if heading and target.suffix == ".md":
            assert heading in _anchors(target), (page.name, link)


def _prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
