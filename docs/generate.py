"""Write the reference pages that follow from the program itself.

    python docs/generate.py

The commands come from the parser, the rules and shapes from the profile. A test tells when a page
is no longer what this would write.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from landscape_compat.cli.main import make_parser
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.rules import (
    landscape_rules,
    missing_tables,
    values_as_recorded,
)
from landscape_compat.projection.rules import Rule

REFERENCE = Path(__file__).resolve().parent / "reference"
NOTE = "<!-- Written by docs/generate.py; change what it is written from. -->"


def main() -> None:
    """Write every page."""
    for name, page in pages().items():
        (REFERENCE / name).write_text(page, encoding="utf-8")


def pages() -> dict[str, str]:
    """Make every page: its name, and what is in it."""
    made: dict[str, Callable[[], Iterator[str]]] = {
        "cli.md": _commands,
        "rules.md": _rules,
        "shapes.md": _shapes,
    }
    return {name: f"{NOTE}\n\n" + "\n\n".join(make()) + "\n" for name, make in made.items()}


# Commands ---------------------------------------------------------------------------------


def _commands() -> Iterator[str]:
    parser = make_parser()
    yield "# Command line"
    yield str(parser.description)
    yield (
        "Results go to standard output, everything else to standard error. `--json` prints one "
        "JSON object that begins with its `kind` and the `version` of its form; a version "
        "changes only when something that was there changes its name or meaning, or goes. "
        "[Exit codes](exit-codes.md) are the same for every command."
    )
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        yield f"## {name}"
        yield str(command.description)
        yield f"```text\n{_usage(name, command)}\n```"
        rows = [
            (_spelling(action), _meaning(action))
            for action in command._actions
            if action.dest != "help"
        ]
        yield _table(("argument", "meaning"), rows)


def _usage(name: str, command: argparse.ArgumentParser) -> str:
    words = ["landscape-compat", name]
    options = [a for a in command._actions if a.option_strings and a.dest != "help"]
    for action in options:
        word = " ".join((action.option_strings[-1], *_value(action)))
        words.append(word if action.required else f"[{word}]")
    for action in command._actions:
        if not action.option_strings:
            (value,) = _value(action)
            words.append(f"{value} ..." if action.nargs in {"+", argparse.REMAINDER} else value)
    lines, line = [], ""
    for word in words:
        if line and len(line) + len(word) > 88:
            lines.append(line)
            line = f"   {word}"
        else:
            line = f"{line} {word}" if line else word
    return "\n".join([*lines, line])


def _spelling(action: argparse.Action) -> str:
    value = "".join(f" {text}" for text in _value(action))
    if not action.option_strings:
        return f"`{value.strip()}`"
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)


def _value(action: argparse.Action) -> tuple[str, ...]:
    if action.nargs == 0:
        return ()
    if action.metavar:
        return (str(action.metavar),)
    if action.choices:
        return (f"{{{','.join(map(str, action.choices))}}}",)
    return (action.dest.upper(),)


def _meaning(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")


# What is known of ELSPETH -----------------------------------------------------------------


def _rules() -> Iterator[str]:
    rules = list(landscape_rules())
    yield "# Rules for ELSPETH"
    yield (
        f"Where a value comes from that a database does not store as the reader declares it: "
        f"{len(rules)} rules. A rule fires only where what it needs is stored, and what it "
        "excludes is not. `inspect DB --table TABLE` shows those that fire for one database."
    )
    yield (
        "*absent*: NULL, because it was never recorded. *renamed*: stored under another name. "
        "*derived*: follows exactly from other stored data. *mapped*: a published mapping of "
        "values. *neutral*: the least value that a reader accepts; it claims nothing. *Stored* "
        "says that the column is stored, with values of another time. *Essential* says that "
        "readers filter on the column: where no rule fires, reading it is refused."
    )
    for table in dict.fromkeys(rule.table for rule in rules):
        yield f"## {table}"
        yield _table(
            ("column", "kind", "fires", "why", "evidence"),
            [
                (f"`{rule.column}`", _kind(rule), _when(rule), rule.why, rule.evidence)
                for rule in rules
                if rule.table == table
            ],
        )
    yield "## Tables that an older database lacks"
    yield "They read as no rows, and are reported as not stored."
    yield _table(
        ("table", "stored since", "what its absence means"),
        [(f"`{t.table}`", t.since, t.why) for t in missing_tables().values()],
    )
    yield "## Values shown as recorded"
    yield "Another era would understand them otherwise; no rule changes them."
    yield _table(
        ("column", "what to know", "evidence"),
        [(f"`{value.target}`", value.why, value.evidence) for value in values_as_recorded()],
    )


def _kind(rule: Rule) -> str:
    marks = [rule.kind.value, *["stored"] * rule.replaces, *["essential"] * rule.essential]
    return ", ".join(marks)


def _when(rule: Rule) -> str:
    conditions = {
        "stored": rule.stored,
        "not stored": rule.not_stored,
        "declared": rule.declared,
        "not declared": rule.not_declared,
    }
    said = [
        f"{condition}: {', '.join(f'`{path}`' for path in sorted(paths))}"
        for condition, paths in conditions.items()
        if paths
    ]
    return "; ".join(said) or "always"


def _shapes() -> Iterator[str]:
    shapes = known_shapes()
    yield "# Known shapes"
    yield (
        f"The {len(shapes)} schemas that ELSPETH's audit database has had, oldest first. A shape "
        "is named by the day and the commit that brought it. Its epochs are the numbers that "
        "builds with that shape stamp into the database, where they stamp one."
    )
    yield _table(
        ("shape", "from", "to", "epochs", "tables", "columns"),
        [
            (
                f"`{known.name}`",
                str(known.first_date),
                str(known.last_date),
                ", ".join(map(str, known.epochs)) or "none",
                str(len(known.shape)),
                str(sum(len(table.columns) for table in known.shape)),
            )
            for known in shapes
        ],
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in escaped)


if __name__ == "__main__":
    main()
