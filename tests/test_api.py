"""The public API is what it was when it was last looked at."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import landscape_compat
from support.snapshots import same_as_kept


def test_names_and_signatures_are_kept() -> None:
    """No public name, parameter or method comes, goes or changes unnoticed."""
    lines = [line for name in landscape_compat.__all__ for line in _described(name)]
    same_as_kept("api.txt", "\n".join(lines) + "\n")


def _described(name: str) -> Iterator[str]:
    value = getattr(landscape_compat, name)
    if not callable(value):
        yield f"{name}: {type(value).__name__}"
    elif not inspect.isclass(value):
        yield f"{name}({_parameters(value)})"
    elif issubclass(value, BaseException):
        yield f"{name}: {', '.join(base.__name__ for base in value.__bases__)}"
    else:
        yield f"{name}({_parameters(value)})"
        for member in sorted(vars(value)):
            found = inspect.getattr_static(value, member)
            if member.startswith("_") or member in getattr(value, "__dataclass_fields__", {}):
                continue
            kind = "" if inspect.isfunction(found) else ": attribute"
            arguments = f"({_parameters(found)})" if inspect.isfunction(found) else ""
            yield f"    .{member}{arguments}{kind}"


def _parameters(value: object) -> str:
    """Name the parameters, and which of them can be left out; types are the checkers' affair."""
    found = inspect.signature(value).parameters.values()  # type: ignore[arg-type]
    words, only = [], False
    for parameter in found:
        if parameter.kind is parameter.KEYWORD_ONLY and not only:
            words.append("*")
            only = True
        mark = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        mark = "*" if parameter.kind is parameter.VAR_POSITIONAL else mark
        only = only or mark == "*"
        optional = "" if parameter.default is parameter.empty else "=..."
        words.append(f"{mark}{parameter.name}{optional}")
    return ", ".join(words)


def test_all_is_sorted_and_what_dir_shows() -> None:
    """`__all__` is in order, and completion finds every name in it."""
    assert landscape_compat.__all__ == sorted(landscape_compat.__all__)
    assert set(landscape_compat.__all__) <= set(dir(landscape_compat))


def test_importing_loads_nothing_heavy() -> None:
    """The package costs nothing until a name of it is used."""
    code = (
        "import sys, landscape_compat;"
        "heavy = {'sqlalchemy', 'structlog', 'wrapt', 'rfc8785'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_installing_loads_nothing_that_reads() -> None:
    """A program pays for the engine and the rules when it opens a database, not before."""
    rooms = ("engine", "projection", "schema", "export", "landscape.rules", "landscape.rescue")
    code = (
        "import sys, landscape_compat as lc; lc.install(); lc.uninstall();"
        f"rooms = tuple(f'landscape_compat.{{room}}' for room in {rooms!r});"
        "print([name for name in sys.modules if name.startswith(rooms)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_current_database_loads_nothing_that_rewrites(tmp_path: Path) -> None:
    """Nor what other dialects need, or reports, or events of what is lacking."""
    modules = """engine.duckdb engine.report engine.server engine.servers projection.rewrite
        projection.scan schema.fingerprint schema.known""".split()
    code = (
        "import sys, sqlalchemy as sa; from landscape_compat import attach;"
        "tokens = sa.Table('tokens', sa.MetaData(), sa.Column('token_id', sa.String(64)));"
        f"engine = sa.create_engine('sqlite:///{tmp_path}/audit.db');"
        "tokens.metadata.create_all(engine); attach(engine, tokens.metadata);"
        "assert engine.connect().execute(sa.select(tokens)).all() == [];"
        f"unused = [f'landscape_compat.{{module}}' for module in {modules!r}];"
        "print([name for name in unused if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
