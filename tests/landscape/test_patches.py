"""Methods are wrapped wherever their class comes from, and afterwards nothing tells of it."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from landscape_compat.landscape.patches import Patches

SOURCE = '''
class Thing:
    """Some thing."""

    kind = "thing"

    def __init__(self, name="none"):
        """Make one."""
        self.name = name

    @classmethod
    def made(cls, name: str, *, twice: bool = False) -> "Thing":
        """Make one by name."""
        return cls(name * 2 if twice else name)

    @staticmethod
    def shout(text):
        return text.upper()
'''


class Counting:
    """Patches on the module `wares`, which count the calls that go through them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.prepared = 0
        self.patches = Patches({"wares": self.prepare, "absent_wares": self.prepare})

    def prepare(self, module: ModuleType) -> None:
        self.prepared += 1
        for name in ("__init__", "made", "shout"):

            def wrapper(
                wrapped: Any, instance: Any, args: Any, options: Any, name: str = name
            ) -> Any:
                self.calls.append(name)
                return wrapped(*args, **options)

            self.patches.replace(module.Thing, name, wrapper)


@pytest.fixture
def counting() -> Iterator[Counting]:
    """Give patches that are taken off after the test."""
    counting = Counting()
    yield counting
    counting.patches.undo()


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Give what imports the module, which is not imported yet."""
    (tmp_path / "wares.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "wares", raising=False)

    def load() -> Any:
        module = importlib.import_module("wares")
        monkeypatch.setitem(sys.modules, "wares", module)
        return module

    # So that it is gone afterwards, whoever imports it.
    monkeypatch.setitem(sys.modules, "wares", ModuleType("wares"))
    del sys.modules["wares"]
    return load


@pytest.mark.parametrize("first", ["import", "patch"])
def test_before_and_after_the_import(counting: Counting, load: Any, first: str) -> None:
    """Methods are wrapped, whichever comes first."""
    if first == "import":
        load()
    counting.patches.apply()
    thing = load().Thing
    assert thing.made("a", twice=True).name == "aa"
    assert thing("b").name == "b"
    assert thing.shout("c") == "C"
    assert counting.calls == ["made", "__init__", "__init__", "shout"]


def test_nothing_remains(counting: Counting, load: Any) -> None:
    """The class holds the very objects it held, in the same order; the finders are as before."""
    finders = list(sys.meta_path)
    thing = load().Thing
    held = dict(vars(thing))
    for _ in range(2):
        counting.patches.apply()
        counting.patches.apply()
        assert counting.prepared > 0
        assert vars(thing)["made"] is not held["made"]
        counting.patches.undo()
        counting.patches.undo()
        assert list(vars(thing)) == list(held)
        assert all(vars(thing)[name] is value for name, value in held.items())
        assert sys.meta_path == finders


def test_an_import_leaves_no_trace(counting: Counting, load: Any) -> None:
    """A module that was watched has the loader that it would have; a later one is not watched."""
    counting.patches.apply()
    module = load()
    assert type(module.__loader__).__name__ == "SourceFileLoader"
    assert module.__spec__.loader is module.__loader__
    assert inspect.getsource(module) == SOURCE
    counting.patches.undo()
    importlib.reload(module)
    assert type(vars(module.Thing)["made"]) is classmethod
    assert counting.prepared == 1


def test_a_module_that_is_loaded_again_is_prepared_again(counting: Counting, load: Any) -> None:
    """Reloading makes new classes, and so does importing what was forgotten."""
    counting.patches.apply()
    module = load()
    importlib.reload(module)
    module.Thing("a")
    del sys.modules["wares"]
    load().Thing("b")
    assert counting.calls == ["__init__", "__init__"]
    assert counting.prepared == 3


def test_who_looks_for_the_module_finds_it(counting: Counting, load: Any) -> None:
    """What is found without being imported can be asked what a loader is asked."""
    counting.patches.apply()
    spec = importlib.util.find_spec("wares")
    assert spec is not None
    assert spec.loader is not None
    assert spec.loader.get_source("wares") == SOURCE  # type: ignore[attr-defined]
    assert importlib.util.find_spec("absent_wares") is None
    assert counting.prepared == 0
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("absent_wares")


def test_a_module_that_fails_to_import_is_not_prepared(
    counting: Counting, load: Any, tmp_path: Path
) -> None:
    """An error of the module's own comes through, and so does one of the preparation."""
    counting.patches.apply()
    (tmp_path / "wares.py").write_text("raise ZeroDivisionError")
    with pytest.raises(ZeroDivisionError):
        load()
    assert counting.prepared == 0
    (tmp_path / "wares.py").write_text("value = 1  # and no Thing")
    importlib.invalidate_caches()
    for _ in range(2):
        with pytest.raises(AttributeError, match="Thing"):
            load()
        assert "wares" not in sys.modules


def test_methods_are_what_they_were(counting: Counting, load: Any) -> None:
    """Signature, name and documentation are as before, and what a method is said to be."""
    thing = load().Thing

    def facts() -> list[Any]:
        return [
            (inspect.signature(m), m.__name__, m.__qualname__, m.__doc__, m.__module__)
            for m in (thing.made, thing.__init__, thing.shout, thing().made)
        ]

    before = facts()
    counting.patches.apply()
    assert facts() == before
    assert inspect.ismethod(thing.made)
    assert inspect.isfunction(thing.__init__)
    assert thing.made.__self__ is thing


def through_pickle(method: Any) -> Any:
    return pickle.loads(pickle.dumps(method))


def test_methods_can_be_pickled_and_copied(counting: Counting, load: Any) -> None:
    """What could be sent to another process can still be, and comes back as what is there."""
    thing = load().Thing
    before = pickle.dumps(thing)
    earlier = pickle.dumps(thing.made)
    counting.patches.apply()
    assert pickle.dumps(thing) == before
    for again in (copy.copy, copy.deepcopy, through_pickle):
        assert again(thing.made) == thing.made
        assert again(thing.made).__self__ is thing
        assert again(thing.__init__) == thing.__init__
        assert again(thing.shout) == thing.shout
    assert pickle.loads(earlier)("x").name == "x"
    assert copy.deepcopy({"call": thing.made})["call"]("y").name == "y"
    assert counting.calls == ["made", "__init__", "made", "__init__"]
    later = pickle.dumps(thing.made)
    counting.patches.undo()
    assert pickle.loads(later)("z").name == "z"
    assert len(counting.calls) == 4


def test_a_bound_method_keeps_its_object(counting: Counting, load: Any) -> None:
    """Copied deeply, a method of an object becomes one of the object's copy."""
    counting.patches.apply()
    thing = load().Thing
    held = thing("a")
    copied = copy.deepcopy(held.__init__)
    copied("b")
    assert held.name == "a"
    assert copied.__self__ is not held
    assert copied.__self__.name == "b"


def test_subclasses_inherit(counting: Counting, load: Any) -> None:
    """A subclass made before or after, one that overrides, and a call through an instance."""
    thing = load().Thing
    early: Any = type("Early", (thing,), {})
    counting.patches.apply()

    class Late(thing):  # type: ignore[misc,valid-type]
        @classmethod
        def made(cls, name: str, **options: Any) -> Any:
            return super().made(name + "!", **options)

    assert type(early.made("a")) is early
    assert type(Late.made("b")) is Late
    assert Late.made("c", twice=True).name == "c!c!"
    assert type(Late("d").made("e")) is Late
    assert isinstance(Late("f"), thing)
    assert counting.calls.count("made") == 4


def test_who_wraps_ours_keeps_what_he_has(counting: Counting, load: Any) -> None:
    """A wrapper around ours is left where it is."""
    thing = load().Thing
    counting.patches.apply()
    ours = vars(thing)["made"]
    theirs = classmethod(lambda cls, name: ours.__get__(None, cls)(name + "?"))
    thing.made = theirs
    counting.patches.undo()
    assert vars(thing)["made"] is theirs
    assert thing.made("a").name == "a?"
    assert type(vars(thing)["__init__"]) is type(load)


def test_a_replacement_after_the_end_is_none(counting: Counting, load: Any) -> None:
    """Who prepares late, in another thread, changes nothing any more."""
    thing = load().Thing
    held = dict(vars(thing))
    counting.prepare(sys.modules["wares"])
    assert all(vars(thing)[name] is value for name, value in held.items())


def test_what_was_found_before_the_end_is_not_prepared_after_it(
    counting: Counting, load: Any
) -> None:
    """Who looked for the module while it was watched, and runs it later, gets it as it is."""
    counting.patches.apply()
    spec = importlib.util.find_spec("wares")
    counting.patches.undo()
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert counting.prepared == 0


def test_a_module_that_somebody_makes_by_hand(counting: Counting, load: Any) -> None:
    """It has no specification that a loader could be put back in."""
    counting.patches.apply()
    spec = importlib.util.find_spec("wares")
    assert spec is not None
    assert spec.loader is not None
    module = ModuleType("wares")
    spec.loader.exec_module(module)
    assert module.Thing.made("a").name == "a"
    assert counting.calls == ["made", "__init__"]
    assert type(module.__loader__).__name__ == "SourceFileLoader"


def test_a_folder_without_a_module_is_left_as_it_is(
    counting: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing in it to run, and so nothing to prepare."""
    (tmp_path / "absent_wares").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    # So that it is gone afterwards.
    monkeypatch.setitem(sys.modules, "absent_wares", ModuleType("absent_wares"))
    del sys.modules["absent_wares"]
    counting.patches.apply()
    module = importlib.import_module("absent_wares")
    assert module.__file__ is None
    assert counting.prepared == 0


def test_threads_that_import_and_patch_at_once(counting: Counting, load: Any) -> None:
    """However they interleave, each method is wrapped once, and nobody waits for ever."""
    for _ in range(50):
        sys.modules.pop("wares", None)
        gate = threading.Barrier(4)
        failed: list[BaseException] = []

        def work(action: Callable[[], Any], gate: Any = gate, failed: Any = failed) -> None:
            gate.wait()
            try:
                action()
            except BaseException as error:
                failed.append(error)

        apply, imported = counting.patches.apply, lambda: importlib.import_module("wares")
        threads = [
            threading.Thread(target=work, args=(action,), daemon=True)
            for action in (apply, imported, apply, imported)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
        assert failed == []
        counting.calls.clear()
        sys.modules["wares"].Thing.made("a")
        assert counting.calls == ["made", "__init__"]
        counting.patches.undo()
        assert type(vars(sys.modules["wares"].Thing)["made"]) is classmethod
