"""What is found of a host of each era is what opening a database depends on."""

from __future__ import annotations

import sys
from types import CodeType, ModuleType
from typing import Any

import pytest
from sqlalchemy import MetaData

from landscape_compat.errors import AttachError
from landscape_compat.landscape.host import (
    DATABASE_MODULE,
    find_host,
    host_of,
    writing_command,
)
from support.host_eras import ERAS
from support.hosts import Place


@pytest.mark.parametrize("era", ERAS)
def test_each_era_is_understood(place: Place, era: str) -> None:
    """The class, the tables and the kinds of refusal are found, whatever the era calls for."""
    placed, facts = place(era), ERAS[era]
    module = placed.load()
    host = find_host(module)
    assert host.database_class is module.LandscapeDB
    assert host.metadata is module.metadata
    assert host.epoch == (facts.epoch or None)
    assert host.refusal is getattr(module, "SchemaCompatibilityError", None)
    assert (host.refusal is not None) is facts.validates
    assert host.reads_without_creating is facts.journals
    assert host.refuses_foreign_tables is facts.passes_on


def test_tables_and_epoch_of_the_schema_module_count_too(place: Place) -> None:
    """A database module that does not name the tables itself has them from its neighbour."""
    module = place("newest").load()
    metadata = vars(module).pop("metadata")
    sys.modules["elspeth.core.landscape.schema"].SQLITE_SCHEMA_EPOCH = 30  # type: ignore[attr-defined]
    del module.SQLITE_SCHEMA_EPOCH
    host = find_host(module)
    assert host.metadata is metadata
    assert host.epoch == 30


class _Slotted:
    __slots__ = ("engine",)

    def __init__(self) -> None: ...

    @classmethod
    def from_url(cls, url: str) -> Any: ...


class _Inheriting(_Slotted):
    pass


class _Usual:
    def __init__(self) -> None: ...

    @classmethod
    def from_url(cls, url: str) -> Any: ...


STRANGE: list[tuple[dict[str, Any], str]] = [
    ({}, "no class LandscapeDB"),
    ({"LandscapeDB": lambda url: None, "metadata": MetaData()}, "no class LandscapeDB"),
    ({"LandscapeDB": _Inheriting, "metadata": MetaData()}, "no class method from_url"),
    ({"LandscapeDB": _Slotted, "metadata": MetaData()}, "no place for attributes"),
    ({"LandscapeDB": _Usual}, "declares no tables"),
    ({"LandscapeDB": _Usual, "metadata": {}}, "declares no tables"),
]


@pytest.mark.parametrize(("names", "said"), STRANGE)
def test_a_strange_host_is_told(names: dict[str, Any], said: str) -> None:
    """What is of no known kind is said to be so, with what is strange, and what to do instead."""
    module = ModuleType(DATABASE_MODULE)
    vars(module).update(names)
    with pytest.raises(AttachError, match=said) as caught:
        find_host(module)
    assert "landscape-compat export" in str(caught.value)


def test_a_module_is_not_asked_for_what_it_would_import(place: Place) -> None:
    """Finding out about a host imports nothing of it."""
    module = place("newest").load()

    def more(name: str) -> Any:
        raise ImportError(name)

    module.__getattr__ = more
    del module.probe_schema_shape
    assert not find_host(module).refuses_foreign_tables


def test_the_host_of_an_object(place: Place) -> None:
    """An instance, or one of a subclass, tells its host; anything else is told apart."""
    placed = place("newest")

    class Mine(placed.db):  # type: ignore[misc,name-defined]
        pass

    for kind in (placed.db, Mine):
        assert host_of(kind.__new__(kind)).database_class is placed.db
    with pytest.raises(AttachError, match="object is no LandscapeDB"):
        host_of(object())


class _Spec:
    """As much of a module's specification as is asked for."""

    def __init__(self, name: str) -> None:
        self.name = name


def calling(module: str, function: str, **names: Any) -> str | None:
    """Call `writing_command` from a function of a module."""
    code: CodeType = compile(f"def {function}(): return ask()", "<host>", "exec")
    namespace: dict[str, Any] = {"__name__": module, "ask": writing_command, **names}
    exec(code, namespace)
    found: str | None = namespace[function]()
    return found


@pytest.mark.parametrize(
    "command", ["run", "resume", "join", "export_resume", "purge", "bootstrap_and_run"]
)
def test_commands_that_write_are_known(command: str) -> None:
    """A command that writes is seen while it runs, in the module itself or run by `-m`."""
    assert calling("elspeth.cli", command) == command
    assert calling("elspeth.cli_helpers", command) == command
    assert calling("__main__", command, __spec__=_Spec("elspeth.cli")) == command


def test_other_functions_are_not_taken_for_commands() -> None:
    """Another command, and functions of the same name elsewhere, do not count."""
    assert calling("elspeth.cli", "explain") is None
    assert calling("elspeth.cli", "web") is None
    assert calling("somewhere.cli", "run") is None
    assert calling("__main__", "run", __spec__=None) is None
    assert calling("__main__", "run", __spec__=_Spec("elspeth_tools")) is None


def test_the_outermost_command_is_named(place: Place) -> None:
    """Of a command and what it calls, the command is named, as people typed it."""
    cli = place("newest").load("cli")
    found = []

    def note(url: str, **options: Any) -> Any:
        found.append(writing_command())
        raise InterruptedError

    cli._open = note
    for command in (cli.run, cli._execute_pipeline):
        with pytest.raises(InterruptedError):
            command("x")
    assert found == ["run", "execute_pipeline"]
