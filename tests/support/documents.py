"""Reading what a page of the documentation shows: its blocks of code, in order, with their marks.

A block is run, unless `<!-- not run: REASON -->` stands on the line before it. What runs:

- `python`: the page's blocks share one namespace; the block `text` directly behind is its output.
- `console`: lines that begin with `$ ` are commands, the lines below what they print. In both,
  `...` stands for anything.

`sh` blocks are not run, but each `landscape-compat` command in them must be one that exists; `json`
and `toml` must be well formed. `<!-- changes the record -->` anywhere in a page says that the
page's commands move or change `audit.db`, which is otherwise watched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LANGUAGES", "Block", "Step", "blocks_of", "matches", "steps_of"]

LANGUAGES = frozenset({"python", "console", "text", "sh", "sql", "json", "toml", "yaml", "ini"})
_FENCE = re.compile(r"^( *)(`{3,})([\w-]*)\s*$")
_MARK = re.compile(r"^\s*<!-- not run: (.+?) -->\s*$")


@dataclass(frozen=True, slots=True)
class Block:
    """One block of code.

    Args:
        page: The page it is on.
        line: The number of its first line, for people.
        language: What it says it is.
        text: What is in it.
        reason: Why it is not run; "" if it is.
        output: The text block directly behind it; None if there is none.
    """

    page: Path
    line: int
    language: str
    text: str
    reason: str = ""
    output: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a console block, and the output shown for it; "" if none is shown."""

    command: str
    shown: str


def blocks_of(page: Path) -> list[Block]:
    """Find a page's blocks of code, in order; directives of the documentation are none."""
    found = list(_scan(page))
    joined = []
    for at, (block, begins, _) in enumerate(found):
        behind = found[at + 1 : at + 2]
        output = None
        if block.language == "python" and behind and behind[0][0].language == "text":
            # Directly behind: nothing but blank lines between them.
            output = behind[0][0].text if behind[0][1] - found[at][2] <= 2 else None
        joined.append(Block(block.page, begins, block.language, block.text, block.reason, output))
    return joined


def _scan(page: Path) -> Iterator[tuple[Block, int, int]]:
    reason, lines = "", page.read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        opened = _FENCE.match(lines[at])
        if opened is None:
            if lines[at].strip():
                mark = _MARK.match(lines[at])
                reason = mark[1] if mark else ""
            at += 1 if not _is_directive(lines[at]) else _length(lines, at)
            continue
        indent, ticks, language = opened.groups()
        begins, inside = at + 1, []
        at += 1
        while at < len(lines) and lines[at].strip() != ticks:
            inside.append(lines[at].removeprefix(indent))
            at += 1
        text = "".join(f"{line}\n" for line in inside)
        at += 1
        yield Block(page, begins, language, text, reason), begins, at
        reason = ""


def _is_directive(line: str) -> bool:
    return line.startswith("```{")


def _length(lines: list[str], at: int) -> int:
    end = at + 1
    while end < len(lines) and lines[end].strip() != "```":
        end += 1
    return end + 1 - at


def steps_of(block: Block) -> list[Step]:
    """Part a console block into its commands; a command goes on below a backslash."""
    steps: list[Step] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            steps.append(Step(line[2:], ""))
        elif steps and steps[-1].command.endswith("\\"):
            steps[-1] = Step(steps[-1].command[:-1] + line.strip(), "")
        elif steps:
            steps[-1] = Step(steps[-1].command, f"{steps[-1].shown}{line}\n")
    return steps


def matches(shown: str, printed: str) -> bool:
    """Tell whether a page shows what was printed, where `...` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None
