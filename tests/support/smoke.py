"""What an installation must do, whatever it was installed from: run by its own Python.

    python tests/support/smoke.py DATABASE EXTRA...

Imports nothing of the tests, so that it can tell what is missing in what was built.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import io
import sys
import tempfile
import warnings
from pathlib import Path

# What extras bring, by the name it is imported by, and those that bring it.
BROUGHT = {
    "rich": {"rich"},
    "alembic": {"alembic"},
    "shtab": {"completion"},
    "pyarrow": {"parquet", "remote", "dask"},
    "zstandard": {"zstd"},
    "orjson": {"fast"},
    "fsspec": {"remote", "dask"},
    "distributed": {"dask"},
}
SOURCE = Path(__file__).resolve().parents[2] / "src"


def main(database: str, *extras: str) -> None:
    """Use what is installed; an error or a failed assertion is the answer."""
    import landscape_compat

    assert SOURCE not in Path(str(landscape_compat.__file__)).parents, "this is the checkout"
    for name in landscape_compat.__all__:
        assert getattr(landscape_compat, name) is not None, name
    files = importlib.metadata.files("landscape-compat") or ()
    names = {str(file) for file in files}
    for name in ("py.typed", "landscape/history.json", "export/page/page.css"):
        assert f"landscape_compat/{name}" in names, name
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]
    brought = importlib.metadata.metadata("landscape-compat").get_all("Provides-Extra") or []
    assert set(extras) <= set(brought), brought
    for module, bringers in BROUGHT.items():
        if bringers & set(brought):
            assert _is_there(module) is bool(bringers & set(extras)), f"{module} with {extras}"

    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "export"
        assert _run("inspect", database)[0] == 0
        assert _run("export", database, "-o", str(made), "-q")[0] == 0
        assert any(made.iterdir())
        assert _run("inspect", database, "--html", f"{folder}/page.html")[0] == 0
        assert "<svg" in (Path(folder) / "page.html").read_text(encoding="utf-8")
        code, said = _run("completion", "bash")
        assert (code == 0) is ("completion" in extras), said
        if "parquet" in brought:
            has_parquet = bool(BROUGHT["pyarrow"] & set(extras))
            for words in (
                ("-o", f"{folder}/p", "--format", "parquet"),
                ("--dataset", f"{folder}/d"),
            ):
                code, said = _run("export", database, *words)
                assert (code == 0) is has_parquet, said
    print(f"{' '.join(extras) or 'no extras'}: as it should be")


def _is_there(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def _run(*words: str) -> tuple[int, str]:
    from landscape_compat.cli import main as command

    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with warnings.catch_warnings(), contextlib.redirect_stdout(said):
        code = command([*words])
        said.seek(0)
        return code, said.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
