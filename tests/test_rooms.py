"""The rooms of the house are in order: each uses those before it, and none of them is ELSPETH's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "landscape_compat"
ROOMS = ("schema", "projection", "engine", "landscape", "export", "migrate", "cli")
# Within `export`; the exports themselves, outside of these, use all.
PARTS = ("records", "output", "formats", "signing", "bag", "dataset", "verify", "page")
FILES = sorted(PACKAGE.rglob("*.py"))
EVERY_FILE = pytest.mark.parametrize(
    "file", FILES, ids=[str(file.relative_to(PACKAGE)) for file in FILES]
)
MOST_LINES = 600
HEAVY = {"sqlalchemy", "structlog", "wrapt", "rfc8785", "rich", "shtab", "pyarrow", "fsspec"}


def room_of(file: Path) -> str:
    """Name the room that a file is in; "" for what belongs to all."""
    first = file.relative_to(PACKAGE).parts[0]
    return first if first in ROOMS else ""


def imports(file: Path, *, at_once: bool = False) -> Iterator[str]:
    """Give the modules that a file imports: all, or those that importing it imports."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in _at_once(tree) if at_once else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: a relative import hides which room is used"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _at_once(tree: ast.Module) -> Iterator[ast.AST]:
    for node in tree.body:
        checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if not checking:
            yield node


@EVERY_FILE
def test_a_room_uses_only_those_before_it(file: Path) -> None:
    """No import leads from a room to one behind it, not even within a function."""
    room = room_of(file)
    if not room:
        return
    later = ROOMS[ROOMS.index(room) + 1 :]
    used = {name.split(".")[1] for name in imports(file) if name.startswith("landscape_compat.")}
    assert sorted(used & set(later)) == []


def test_a_part_of_the_export_uses_only_those_before_it() -> None:
    """No import leads from one of its folders to one behind it, or to the exports themselves."""
    for at, part in enumerate(PARTS):
        files = sorted((PACKAGE / "export" / part).glob("*.py"))
        assert files, part
        for file in files:
            names = [
                n.split(".") for n in imports(file) if n.startswith("landscape_compat.export.")
            ]
            used = {name[2] for name in names}
            assert used <= {*PARTS[: at + 1]}, file


@EVERY_FILE
def test_the_first_rooms_know_nothing_of_elspeth(file: Path) -> None:
    """What serves every program of SQLAlchemy names neither the host nor its tables."""
    if room_of(file) not in {"schema", "projection", "engine"}:
        return
    text = file.read_text(encoding="utf-8")
    assert re.findall(r"(?i)elspeth", text) == []


@EVERY_FILE
def test_a_file_has_one_idea(file: Path) -> None:
    """It says which in its first line, and is not so long that it must have several."""
    text = file.read_text(encoding="utf-8")
    if file.name != "__main__.py":
        assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= MOST_LINES


@EVERY_FILE
def test_help_stays_instant(file: Path) -> None:
    """The command line imports what is heavy where it is used, never on its way to the help."""
    if room_of(file) == "cli":
        heavy = {name.split(".")[0] for name in imports(file, at_once=True)} & HEAVY
        assert sorted(heavy) == []


def test_what_reads_goes_round_no_circle() -> None:
    """No module that reading needs leads back to itself, not even within a function."""
    modules = {f"landscape_compat.{'.'.join(module_of(file))}": file for file in FILES}
    reading = {name for name, file in modules.items() if room_of(file) in ROOMS[:4]}
    uses = {name: reading & {*imports(modules[name])} - {name} for name in reading}
    while ends := {name for name, used in uses.items() if not used}:
        uses = {name: used - ends for name, used in uses.items() if name not in ends}
    assert uses == {}


def module_of(file: Path) -> tuple[str, ...]:
    """Give the words of a module's name behind the package's."""
    words = file.relative_to(PACKAGE).with_suffix("").parts
    return words[:-1] if words[-1] == "__init__" else words
