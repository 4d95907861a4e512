"""Write the page that says how each state of a SQLite file is opened, from what the tests test.

python tests/support/states_page.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from landscape_compat.engine.states import REFUSALS, STATES  # noqa: E402
from support.wal import EXPECTED, LIVE_STATES  # noqa: E402

__all__ = ["PAGE", "WORDS", "render"]

PAGE = ROOT / "docs" / "reference" / "untouched.md"

# What each state of `support.wal` is, in words.
WORDS = {
    "rollback": "rollback journal, closed",
    "rollback_reader": "rollback journal, another program reads",
    "journal_reserved": "rollback journal, another program is in a transaction that writes",
    "journal_persist": "`journal_mode=PERSIST`, closed, a `-journal` stays",
    "journal_truncate": "`journal_mode=TRUNCATE`, closed, an empty `-journal` stays",
    "journal_hot": "a writer was killed in a transaction, half of it is in the file",
    "journal_unsynced": "a writer was killed in a transaction, none of it is in the file",
    "wal_clean": "WAL, closed cleanly",
    "wal_clean_stray_shm": "WAL, closed cleanly, a `-shm` was left",
    "wal_zero": "WAL, a reader was killed, `-wal` empty, `-shm` left",
    "wal_zero_without_shm": "WAL, `-wal` empty, no `-shm`",
    "wal_frames": "WAL, a writer was killed, committed rows wait in the `-wal`",
    "wal_frames_uncommitted": "the same, with a transaction that was not committed",
    "wal_frames_partly_moved": "the same, with a part moved into the file already",
    "wal_frames_without_shm": "committed rows wait in the `-wal`, no `-shm` (an archived copy)",
    "wal_frames_empty_shm": "the same, with an empty `-shm`",
    "wal_frames_garbage_shm": "the same, with garbage for a `-shm`",
    "wal_damaged": "WAL, closed cleanly, garbage for a `-wal`",
    "wal_damaged_short": "WAL, closed cleanly, four bytes for a `-wal`",
    "wal_under_rollback_header": "an older file was put back over a WAL database",
    "wal_live_new": "WAL, another program has it open, nothing written yet",
    "wal_live_first_commit": "WAL, another program has just committed its first transaction",
    "wal_live_idle": "WAL, another program has it open and is idle",
    "wal_live_open": "WAL, another program is in a transaction that writes",
    "wal_live_moved": "WAL, another program has emptied the `-wal` and keeps it open",
    "journal_exclusive": "rollback journal, another program writes pages before it commits",
    "wal_exclusive": "WAL, another program has it in exclusive mode",
}
_WAYS = {
    "read-only": "in place, `mode=ro`",
    "immutable": "in place, `immutable=1` with a guard",
    "read-only-shm": "in place, `mode=ro&readonly_shm=1`",
    "private-copy": "a private copy",
}
_HEAD = """\
# Untouched: every state of a SQLite file

How a file is opened follows from facts about it and what lies beside it; `landscape-compat doctor`
names the state that applies and the reason. This page is written from the data that the tests run
on, by `python tests/support/states_page.py`, and a test holds the two together.

## State by operation

Every cell is tested by `tests/test_untouched.py`, a test for each line: the operation sees exactly
the rows that were committed, and the bytes, size and times of the file, of its `-wal`,
`-shm` and `-journal`, and the listing of the folder are the same before and after. (Not the time of
last access, which the system sets on any reading. And run as root, SQLite gives a `-wal`, `-shm` or
`-journal` the owner that it has already, which moves its ctime.)

"""
_DECISION = """\

## The decision

The first state that covers the facts counts. `-` for the way: the file is looked at again, five
times at most, then refused as in use.

| state | way | why |
|---|---|---|
"""
_REFUSED = """\

## What is not opened

| refusal | the file ... | what to do |
|---|---|---|
"""
_BESIDES = """\

## Besides

| | tested by |
|---|---|
| read-only file, read-only folder, both, of another owner: each of the states above | `tests/engine/test_opening.py::test_permissions_change_nothing` |
| through symlinks: each of the states above | `tests/engine/test_opening.py::test_a_symlink_leads_to_the_file_and_what_lies_beside_it` |
| paths with spaces, `?`, `%`, `#`, quotes, newlines, bidi marks, bytes that are no UTF-8 | `tests/engine/test_opening.py::test_odd_names_are_opened_as_any_other` |
| paths longer than SQLite opens | `tests/engine/test_opening.py::test_a_path_longer_than_sqlite_opens_is_copied` |
| file systems that cannot lock | `tests/engine/test_opening.py::test_where_locks_fail_a_private_copy_or_the_guard_stands_in` |
| a writer that comes between the decision and the first read | `tests/engine/test_opening.py::test_a_writer_between_choice_and_first_read_costs_another_look` |
| a file that is replaced, migrated or written to while it is open | `tests/engine/test_opening.py::test_a_change_is_noticed` |
| writers that open, write, close and are killed all the while | `tests/stress/opening_stress.py` |
| a private copy: whole beside a writer, for its owner only, bounded by the room there is, removed, also by the next run after a crash | `tests/engine/test_private_copy.py`, `tests/engine/test_private_folder.py` |
| each lock on a connection, with all others taken away | `tests/engine/test_locks.py` |
"""  # noqa: E501

OPERATIONS = ("inspect", "doctor", "read", "export", "migrate")


def render() -> str:
    """Write the page."""
    ways = {state.name: state.way for state in STATES}
    lines = ["| case | what it is | state | opened | " + " | ".join(OPERATIONS) + " |"]
    lines.append("|---" * (4 + len(OPERATIONS)) + "|")
    for case, state in EXPECTED.items():
        way = ways[state]
        assert way is not None
        cells = [f"`{case}`", WORDS[case], state, _WAYS[way], *["all rows, no trace"] * 5]
        lines.append(f"| {' | '.join(cells)} |")
    for case in LIVE_STATES:
        cells = [f"`{case}`", WORDS[case], "-", "not at all", *["refused, no trace"] * 5]
        lines.append(f"| {' | '.join(cells)} |")
    decision = [f"| {s.name} | {_WAYS[s.way] if s.way else '-'} | {s.reason} |" for s in STATES]
    refused = [f"| {r.name} | {r.reason} | {r.remedy} |" for r in REFUSALS.values()]
    page = _HEAD + "\n".join(lines) + "\n" + _DECISION + "\n".join(decision) + "\n"
    return page + _REFUSED + "\n".join(refused) + "\n" + _BESIDES


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
