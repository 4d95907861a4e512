"""The names of a dataset's files: a folder for each type of record, in it one for each run.

The folders are Hive's, `KEY=VALUE`, and the key is not `run_id`: that is a column of the records,
and readers take what a folder's name says for the value of a column that both name. A row that no
run reaches would lose the run that it says it belongs to, and a run called 007 would become 7.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from landscape_compat.errors import OutputError
from landscape_compat.export.output.files import shortened
from landscape_compat.export.records.values import RecordForm
from landscape_compat.schema.shape import fold_name

__all__ = [
    "MARK",
    "OWN",
    "PREDICATE",
    "STATEMENT",
    "file_name",
    "is_own_name",
    "partition_key",
    "run_text",
]

# The type of the statement, and the name of the schema that it follows.
PREDICATE: Final = "urn:landscape-compat:dataset:v1"
# What begins so is no data for Spark, Arrow and their like.
OWN: Final = "_landscape"
STATEMENT: Final = f"{OWN}/dataset.json"
# There as long as a dataset is being written.
MARK: Final = f"{OWN}/unfinished"
_NO_RUN: Final = "__HIVE_DEFAULT_PARTITION__"
_FILE = re.compile(r"[^/_.=][^/=]*/run_*=[^/=]+/part-[01]\.parquet")


def partition_key(forms: Iterable[RecordForm]) -> str:
    """Name the column that the folders make: `run`, or longer where a record has such a field.

    Args:
        forms: The forms of all records.
    """
    taken = {fold_name(field.name) for form in forms for field in form.fields}
    key = "run"
    while key in taken:
        key += "_"
    return key


def run_text(run_id: Any) -> str:
    """Give a run's id as the text that names its folder.

    Args:
        run_id: The id, as stored.

    Raises:
        OutputError: It is no text and no integer.
    """
    if isinstance(run_id, (str, int)):
        return str(run_id)
    raise OutputError(
        f"The id of a run, {run_id!r}, is no text, so that no folder can be named by it.",
        table="runs",
        column="run_id",
        remedy="Export as JSON lines or as a SQLite database.",
    )


def file_name(record_type: str, key: str, run: str | None) -> str:
    """Name the file of one type's records of one run.

    Args:
        record_type: The type.
        key: What `partition_key` gave.
        run: What `run_text` gave; None for what belongs to no run.
    """
    kind = shortened(_quoted(record_type), record_type) or "%"  # no other name is that
    # Where Hive puts an empty text, too: some readers refuse a folder without a value.
    value = shortened(_quoted(run), run) if run else _NO_RUN
    return f"{kind}/{key}={value}/part-{int(run == '')}.parquet"


def is_own_name(name: str) -> bool:
    """Tell whether a file may be one of a dataset's, by its name within it.

    Args:
        name: The name.
    """
    return name.startswith(f"{OWN}/") or _FILE.fullmatch(name) is not None


def _quoted(text: str) -> str:
    """Write a text as a name without a slash, an equals sign, or a beginning that hides it."""
    name = quote(text, safe="")
    return f"%{ord(name[0]):02X}{name[1:]}" if name[:1] in (".", "_") else name
