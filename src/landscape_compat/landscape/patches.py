"""Wrapping methods of classes that may not be imported yet, and taking every trace off again."""

from __future__ import annotations

import copy
import importlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import wrapt

__all__ = ["Patches", "argument"]


class Patches:
    """Methods that are wrapped, and modules that are prepared as they are imported.

    Args:
        preparations: Module name to what wraps its methods, by calling `replace`. It may be
            called more than once for a module.
    """

    def __init__(self, preparations: Mapping[str, Callable[[ModuleType], None]]) -> None:
        self._preparations = preparations
        self._watch = _ImportWatch(preparations.keys(), self._prepare)
        self._lock = threading.RLock()
        self._applied = False
        self._replaced: list[tuple[type[Any], str, Any, _Method]] = []

    def apply(self) -> None:
        """Prepare what is imported, and watch for what will be."""
        with self._lock:
            self._applied = True
            if self._watch not in sys.meta_path:
                sys.meta_path.insert(0, self._watch)
        # Not under the lock: this waits for threads that are importing one of them.
        for name in self._preparations:
            _wait_for_import(name)
            module = sys.modules.get(name)
            if module is not None:
                self._prepare(module)

    def replace(self, owner: type[Any], name: str, wrapper: Callable[..., Any]) -> None:
        """Wrap one method, unless it is wrapped already.

        Args:
            owner: The class whose own method it is.
            name: The method.
            wrapper: Called with the method, what it is bound to, its arguments and options.
        """
        with self._lock:
            original = vars(owner)[name]
            if self._applied and type(original) is not _Method:
                method = _Method(original, wrapper)
                method._self_home = (owner, name)
                setattr(owner, name, method)
                self._replaced.append((owner, name, original, method))

    def undo(self) -> None:
        """Put back every method, and stop watching."""
        with self._lock:
            self._applied = False
            while self._watch in sys.meta_path:
                sys.meta_path.remove(self._watch)
            while self._replaced:
                owner, name, original, method = self._replaced.pop()
                # Who wrapped ours keeps what he has, and ours within it.
                if vars(owner).get(name) is method:
                    setattr(owner, name, original)

    def _prepare(self, module: ModuleType) -> None:
        with self._lock:
            if self._applied:
                self._preparations[module.__name__](module)


def _wait_for_import(name: str) -> None:
    """Wait for a thread that looked for a module before we watched, and has it not yet."""
    # Private, and since Python 3.3 what every import waits by; nothing public waits for a
    # module without importing it.
    wait = getattr(getattr(importlib, "_bootstrap", None), "_lock_unlock_module", None)
    if wait is not None:  # pragma: no branch - every Python so far has it
        wait(name)


class _BoundMethod(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]
    """A wrapped method as a caller gets it; can be pickled and copied as any method can."""

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        owner, name = self._self_parent._self_home
        return getattr, (getattr(self.__wrapped__, "__self__", owner), name)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memory: dict[int, Any]) -> Any:
        make, arguments = self.__reduce_ex__(4)
        return make(*copy.deepcopy(arguments, memory))


class _Method(wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """A method that is called through a wrapper."""

    __bound_function_wrapper__ = _BoundMethod
    _self_home: tuple[type[Any], str]


class _ImportWatch(MetaPathFinder):
    """Sees modules being imported, and leaves no trace in them."""

    def __init__(self, names: Iterable[str], prepare: Callable[[ModuleType], None]) -> None:
        self._names = frozenset(names)
        self._prepare = prepare

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find one of the modules as the other finders do."""
        if fullname not in self._names:
            return None
        for finder in tuple(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(fullname, path, target) if find else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _PreparingLoader(spec.loader, self._prepare)
                return spec
        return None


class _PreparingLoader(Loader):
    """Loads a module as its own loader does, then has it prepared."""

    def __init__(self, loader: Any, prepare: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._prepare = prepare

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Make the module, or leave that to the import system."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Run the module with its own loader in its place, then have it prepared."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._prepare(module)


def argument(
    wrapped: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any], name: str
) -> Any:
    """Give one argument of a call to something that is wrapped; None if it has none.

    Args:
        wrapped: What is called.
        args: The arguments it is called with.
        options: The keyword arguments.
        name: The parameter's name.
    """
    try:
        return inspect.signature(wrapped).bind(*args, **options).arguments.get(name)
    except TypeError:
        return None
