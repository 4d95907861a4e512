"""The values that a column may hold and that a reader may trip over, by the column's type."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from itertools import zip_longest
from typing import TypeAlias

from landscape_compat.schema.shape import ColumnShape

__all__ = ["LONG_TEXT", "ODD_KEYS", "Value", "digest", "filler", "pool"]

Value: TypeAlias = str | int | float | bytes | None

LONG_TEXT = ("0123456789 abcdefghij \u00e4\u6f22\U0001f642 'q' \"d\" \\ \n" * 3000)[:100_000]

TEXTS = (
    "",
    "Gr\u00fc\u00dfe, \u017elu\u0165ou\u010dk\u00fd k\u016f\u0148, \u6f22\u5b57, \u304b\u306a",
    "\U0001f642 \U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308",
    "decomposed e\u0301 a\u0323\u0302, composed \u00e9, Z\u0351\u036b\u0343",
    "\u202eright to left\u202c \u200f\u2066isolated\u2069 \u0639\u0631\u0628\u064a",
    "\ufeffbyte order mark, \u200bzero\u00adwidth",
    'it\'s "quoted" `tick` [bracket]',
    "'; DROP TABLE runs; -- /* ? :name %s %(x)s $1 */",
    "one\ntwo\r\nthree\rfour\u2028five\u2029six\x85seven",
    "\x01\x02\x1b[31m\x1f\x7f",
    'C:\\temp\\n \\u0041 </script> {"a": 1}',
    'a,"b";c\td|e',
    "=1+1",
    "  padded  ",
    "007",
    "1e5",
    "-0.0",
    "9223372036854775808",
    "NULL",
    "\uffff\ufffe\ue000\U0010ffff",
)

JSON_TEXTS = (
    *(json.dumps({"value": text}, ensure_ascii=False) for text in TEXTS),
    "{}",
    "[]",
    "null",
    '""',
    ' { "b" : 1 , "a" : [ ] } ',
    '{"same":1,"same":2}',
    '{"zero":-0.0,"big":1e308,"tiny":5e-324,"int":123456789012345678901234567890}',
    '"\\ud83d\\ude42 \\u0000 \\ud800"',
)

INTEGERS = (
    0,
    1,
    -1,
    2**31 - 1,
    -(2**31) - 1,
    2**32,
    2**53,
    2**53 + 1,
    -(2**53) - 1,
    2**63 - 1,
    -(2**63) + 1,
    -(2**63),
)

FLOATS = (
    -0.0,
    0.1 + 0.2,
    1 / 3,
    1e308,
    -1.7976931348623157e308,
    5e-324,
    2.2250738585072014e-308,
    9007199254740993.0,
    1e22,
    1e16,
    -1.5,
    123456.789e-7,
)

TIMESTAMPS = (
    "2026-01-18 09:15:42.123456",
    "2026-01-18 09:15:42",
    "2026-01-18 09:15:42.000000",
    "2026-01-18 00:00:00.000001",
    "2024-02-29 23:59:59.999999",
    "1970-01-01 00:00:00.000000",
    "2038-01-19 03:14:08.500000",
    "0001-01-01 00:00:00.000000",
    "9999-12-31 23:59:59.999999",
)

BLOBS = (b"", b"\x00", b"\xff\xfe\x00bytes", bytes(range(256)))

# Keys that a program may compare, sort, quote, print or test for truth wrongly.
ODD_KEYS = (
    "",
    "0",
    "1",
    "01",
    "1.0",
    "case",
    "CASE",
    'it\'s "odd"',
    "\u00e9",
    "e\u0301",
    "\uffff",
    "\U0001f642",
    " leading and trailing ",
    "100%_like",
    "line\nbreak",
    "null",
    "../up/and/over",
    "back\\slash",
)

# What a healthy record holds in columns that name a kind of thing.
WORDS = {
    "runs.status": ("completed", "failed", "running", "completed_with_failures"),
    "runs.export_status": ("completed", "failed", "pending"),
    "runs.reproducibility_grade": ("full_reproducible", "replay_reproducible"),
    "nodes.determinism": ("deterministic", "io_read", "io_write", "nondeterministic"),
    "nodes.node_type": ("source", "transform", "gate", "aggregation", "coalesce", "sink"),
    "nodes.schema_mode": ("dynamic", "strict", "free", "observed", "fixed", "flexible"),
    "validation_errors.schema_mode": ("dynamic", "strict", "free", "parse"),
    "edges.default_mode": ("move", "copy", "divert"),
    "routing_events.mode": ("move", "copy", "divert"),
    "node_states.status": ("completed", "failed", "open", "pending"),
    "calls.status": ("success", "error"),
    "calls.call_type": ("llm", "http", "sql", "filesystem"),
    "batches.status": ("draft", "executing", "completed", "failed"),
    "batches.trigger_reason": ("count", "timeout", "condition", "end_of_source"),
    "batches.trigger_type": ("count", "timeout", "condition", "end_of_source"),
    "operations.operation_type": ("source_load", "sink_write"),
    "operations.status": ("open", "completed", "failed"),
    "token_outcomes.outcome": ("completed", "routed", "forked", "coalesced", "failed", "buffered"),
    "token_outcomes.path": ("default_flow", "gate_routed", "fork_parent", "coalesced"),
    "token_outcomes.is_terminal": (1, 0),
    "token_outcomes.completed": (1, 0),
}

_LENGTH = re.compile(r"\((\d+)\)")


def digest(*parts: object) -> str:
    """Give 64 hexadecimal digits that are the same for the same parts on every Python."""
    return sha256("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()


def pool(table: str, column: ColumnShape, *, long_text: bool = True) -> tuple[Value, ...]:
    """List the values that a column should hold at least once.

    Args:
        table: The column's table.
        column: The column.
        long_text: Whether a column without a length holds one text of 100,000 characters.
    """
    values: list[Value] = list(_by_type(column, long_text=long_text))
    words = WORDS.get(f"{table}.{column.name}", ())
    if words:
        mixed = zip_longest(words, values)
        values = [value for pair in mixed for value in pair if value is not None]
    if column.nullable:
        values.insert(2, None)
    return tuple(dict.fromkeys(values))


def filler(table: str, column: ColumnShape, seed: int, number: int) -> Value:
    """Give an ordinary value that no other cell of the table holds, where the type allows.

    Args:
        table: The column's table.
        column: The column.
        seed: The seed of the database.
        number: The number of the row in its table.
    """
    name = f"{table}.{column.name}"
    if column.nullable and number % 4 == 3:
        return None
    if name in WORDS:
        return WORDS[name][number % len(WORDS[name])]
    mark = digest(seed, name, number)
    kind = column.type
    if kind == "DATETIME":
        minutes, seconds = divmod(number, 60)
        hours, minutes = divmod(minutes, 60)
        micros = int(mark[:4], 16)
        return f"2026-02-{1 + hours % 28:02} {hours % 24:02}:{minutes:02}:{seconds:02}.{micros:06}"
    if kind == "BOOLEAN":
        return number % 2
    if kind == "INTEGER":
        return 1_000 * (number + 1) + int(mark[:2], 16)
    if kind == "FLOAT":
        return number + int(mark[:13], 16) / 2**52
    if kind == "BLOB":
        return bytes.fromhex(mark)
    if column.name.endswith("_json"):
        return json.dumps({"column": name, "number": number, "mark": mark})
    text = mark if column.name.endswith(("_hash", "sha256", "fingerprint")) else name + "-" + mark
    return text[-(_length(kind) or 48) :]


def _by_type(column: ColumnShape, *, long_text: bool) -> tuple[Value, ...]:
    kind = column.type
    if kind == "DATETIME":
        return TIMESTAMPS
    if kind == "BOOLEAN":
        return (0, 1)
    if kind == "INTEGER":
        return INTEGERS
    if kind == "FLOAT":
        return FLOATS
    if kind == "BLOB":
        return BLOBS
    if not kind:
        return (-0.0, 1.5, 7, "text", b"\x00\xff")
    length = _length(kind)
    if length:
        widest = "\U0001f642" * length
        return tuple(text[:length] for text in (*TEXTS, widest))
    if column.name.endswith("_json"):
        return (*JSON_TEXTS, json.dumps({"value": LONG_TEXT})) if long_text else JSON_TEXTS
    return (*TEXTS, LONG_TEXT) if long_text else TEXTS


def _length(kind: str) -> int | None:
    found = _LENGTH.search(kind)
    return int(found[1]) if found else None
