"""The reference says what the program does: commands, names, rules, events, exit codes."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import landscape_compat
from landscape_compat.errors import ExitCode

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def test_generated_pages_are_current() -> None:
    """What follows from the program is as it follows now; else: python docs/generate.py."""
    made = generator().pages()
    old = [name for name, text in made.items() if text != page(name)]
    assert old == [], "run: python docs/generate.py"


def test_every_public_name_is_in_the_reference() -> None:
    """The page of the Python API has every public name, and no other."""
    listed = re.findall(r"^\.\. auto\w+:: landscape_compat\.(\w+)$", page("api.md"), re.MULTILINE)
    assert sorted(listed) == sorted(landscape_compat.__all__)


def test_every_public_name_is_explained() -> None:
    """Each has a docstring of one imperative line, and says what its parameters are."""
    faults = []
    for name in landscape_compat.__all__:
        value = getattr(landscape_compat, name)
        faults += [f"{name}: {fault}" for fault in _faults(value)] if callable(value) else []
    assert faults == []


def _faults(value: object) -> Iterator[str]:
    text = inspect.getdoc(value) or ""
    first, _, rest = text.partition("\n")
    if not first.endswith((".", ":")):
        yield f"its first line is no sentence: {first!r}"
    if rest and not rest.startswith("\n"):
        yield "its first line goes on in the second"
    if inspect.isclass(value) and issubclass(value, BaseException):
        return  # their parameters are those of the family
    section = text.partition("Args:")[2]
    for parameter in inspect.signature(value).parameters:  # type: ignore[arg-type]
        if not re.search(rf"^\s+\**{parameter}: ", section, re.MULTILINE):
            yield f"nothing is said of {parameter}"


def test_events_are_listed_with_their_fields() -> None:
    """Each event that the source emits is in the table of events with just its fields."""
    emitted: dict[str, set[str]] = {}
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "emit":
                (event,) = node.args
                assert isinstance(event, ast.Constant)
                fields = {keyword.arg for keyword in node.keywords if keyword.arg}
                emitted.setdefault(str(event.value), set()).update(fields)
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", page("events.md"), re.MULTILINE)
    assert {event: set(re.findall(r"`(\w+)`", fields)) for event, fields in rows} == emitted


def test_exit_codes_are_listed() -> None:
    """Each exit code is there with its name."""
    rows = re.findall(r"^\| (\d) \| (\w+) \|", page("exit-codes.md"), re.MULTILINE)
    assert rows == [(str(code.value), code.name.lower()) for code in ExitCode]


@pytest.mark.parametrize("name", ["mechanism.md", "contract.md"])
def test_the_explanation_is_there(name: str) -> None:
    """The pages that the README and the errors lean on exist."""
    assert (ROOT / "docs" / "explanation" / name).is_file()
