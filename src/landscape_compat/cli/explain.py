"""Tell what became of a row or a token, with what the database does not hold marked as absent."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from landscape_compat.cli.passphrase import ask_passphrase
from landscape_compat.cli.runs import naming_runs
from landscape_compat.cli.talk import print_json
from landscape_compat.errors import ExitCode, LandscapeCompatError, printable

if TYPE_CHECKING:
    from landscape_compat.landscape.lineage import Lineage

__all__ = ["configure", "run"]

# What the text shows of a record; --json has every column. NULL is not shown.
_SHOWN = {
    "run": "run_id status started_at completed_at reproducibility_grade",
    "node": "node_id plugin_name node_type plugin_version determinism config_hash",
    "row": "row_id row_index source_node_id source_data_hash source_data_ref",
    "token": "token_id step_in_pipeline branch_name fork_group_id join_group_id expand_group_id",
    "node_state": "state_id step_index attempt node_id status duration_ms input_hash output_hash "
    "success_reason_json error_json",
    "routing_event": "edge_id mode reason_hash",
    "call": "call_id call_type status latency_ms request_hash response_hash error_json",
    "artifact": "artifact_id artifact_type path_or_uri content_hash size_bytes",
    "token_outcome": "outcome path completed is_terminal sink_name batch_id error_hash recorded_at",
    "transform_error": "error_id transform_id destination error_details_json",
    "validation_error": "error_id schema_mode destination error",
    "batch_member": "batch_id ordinal",
    "batch": "batch_id status trigger_type trigger_reason attempt",
}
# One flag under two names: the one that a database does not hold is not missing.
_TWINS = {"completed": "is_terminal", "is_terminal": "completed", "path": "is_terminal"}
_WIDEST = 160


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("database", metavar="DB", help="a path or a SQLAlchemy URL")
    parser.add_argument(
        "--run", dest="run_id", metavar="RUN", required=True, help="a run's id, or `latest`"
    )
    wanted = parser.add_mutually_exclusive_group()
    wanted.add_argument("--row", metavar="ROW", help="a row's id, or its index in the run")
    wanted.add_argument("--token", metavar="TOKEN", help="a token's id")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--plain", action="store_true", help="no colours and no rich text")
    parser.set_defaults(says_all=True)  # what is absent is marked where it would stand


def run(options: argparse.Namespace) -> int:
    """Explain a run, a row or a token."""
    from landscape_compat.landscape.database import open_landscape
    from landscape_compat.landscape.lineage import explain

    passphrase = ask_passphrase((options.database,))
    with open_landscape(options.database, passphrase=passphrase) as db, naming_runs((db,)):
        found = explain(db, options.run_id, row=options.row, token=options.token)
    if options.json:
        _print_json(found)
    elif options.plain or not sys.stdout.isatty() or not _print_rich(found):
        for line in _lines(found):
            print(line)
    return ExitCode.DONE


def _print_json(tree: Lineage) -> None:
    try:
        print_json("explain", {"lineage": tree.to_dict()})
    except RecursionError as error:
        raise LandscapeCompatError(
            "So many tokens come of each other that JSON would be nested deeper than it can be "
            "written; nothing was printed.",
            table="token_parents",
            remedy="Leave out --json: the text has any depth.",
        ) from error


def _lines(tree: Lineage) -> Iterator[str]:
    # No call within a call, here and below: a tree can be deeper than Python's calls go.
    waiting = [(tree, "", "")]
    while waiting:
        one, lead, hang = waiting.pop()
        yield f"{lead}{_head(one)}{_tail(one)}"
        ends = [("└─ ", "   "), *[("├─ ", "│  ")] * (len(one.below) - 1)]
        below = zip(reversed(one.below), ends, strict=False)
        waiting += [(child, hang + mark, hang + line) for child, (mark, line) in below]


def _print_rich(tree: Lineage) -> bool:
    """Print the tree with rich, if it is installed; tell whether it was."""
    try:
        from rich.console import Console
        from rich.text import Text
        from rich.tree import Tree
    except ModuleNotFoundError:
        return False

    def label(one: Lineage) -> Text:
        style = "dim" if one.record is None else "bold"
        return Text.assemble((_head(one), style), _tail(one))

    root = Tree(label(tree))
    waiting = [(tree, root)]
    while waiting:
        one, into = waiting.pop()
        waiting += [(child, into.add(label(child))) for child in one.below]
    Console(highlight=False).print(root)
    return True


def _head(tree: Lineage) -> str:
    return tree.kind.replace("_", " ")


def _tail(tree: Lineage) -> str:
    shown = _SHOWN.get(tree.kind, "").split()
    facts = {**{name: tree.facts.get(name) for name in shown}, **tree.looked_up}
    parts = [f"{name}={_short(value)}" for name, value in facts.items() if value is not None]
    missing = [name for name in shown if name in tree.absent and _TWINS.get(name) not in tree.facts]
    if missing:
        parts.append(f"(absent: {', '.join(missing)})")
    if tree.note:
        parts.append(f"({tree.note})")
    return "".join(f"  {part}" for part in parts)


def _short(value: object) -> str:
    text = printable(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
