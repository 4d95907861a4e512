"""Every check of the project as a session; `.ci/run` runs the tests and the sessions of `nox`.

    nox                  the linters, the types, the documentation and the packages
    nox -s docs          one of them
    nox -s tests -- -k fingerprint

The tests themselves are run by `python3 tests/run.py`, which needs nothing installed.
"""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "docs", "packaging"]
nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True

EXTRAS = ("rich", "alembic", "completion", "parquet", "zstd", "fast", "remote", "dask")
PLACES = ("src", "tests", "docs", "noxfile.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Look for faults, the house's form, and misspelt words."""
    session.install("ruff>=0.9", "codespell>=2.4")
    session.run("ruff", "check", "--no-cache", *PLACES)
    session.run("ruff", "format", "--no-cache", "--check", *PLACES)
    session.run("codespell", *map(str, Path().glob("*.md")), *PLACES)


@nox.session
def types(session: nox.Session) -> None:
    """Check the types: of everything by mypy, of what users see by pyright too."""
    session.install("--editable", ".[dev]", "pyright[nodejs]>=1.1.400")
    session.run("mypy", "--strict", "--no-error-summary", f"--cache-dir={session.create_tmp()}")
    session.run("pyright", "tests/typing")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    session.install("--editable", ".[docs]")
    out = session.create_tmp()
    session.run("sphinx-build", "-W", "-n", "-q", "--keep-going", "-E", "docs", f"{out}/html")


@nox.session
def links(session: nox.Session) -> None:
    """Ask for what the documentation links to elsewhere, for which it needs the network."""
    session.install("--editable", ".[docs]")
    out = session.create_tmp()
    session.run("sphinx-build", "-b", "linkcheck", "-q", "docs", f"{out}/links")


@nox.session
def packaging(session: nox.Session) -> None:
    """Build what is published, and use each of it as built, without extras and with each."""
    session.install("build>=1.2", "hatchling>=1.27")
    out = Path(session.create_tmp()).absolute()
    for old in out.glob("*.*"):
        old.unlink()
    session.run("python", "-m", "build", "--no-isolation", "--outdir", str(out), ".", silent=True)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    database = out / "audit.db"
    session.run("python", "docs/examples/legacy_audit.py", str(database), silent=True)
    for built, extras in ((sdist, ()), (wheel, ()), *((wheel, (name,)) for name in EXTRAS)):
        wanted = f"landscape-compat[{','.join(extras)}] @ {built.as_uri()}"
        session.run("python", "-m", "venv", "--clear", str(out / "venv"))
        python = str(out / "venv" / "bin" / "python")
        session.run(python, "-m", "pip", "install", "--quiet", wanted, external=True)
        session.run(python, "-I", "tests/support/smoke.py", str(database), *extras, external=True)


@nox.session
def coverage(session: nox.Session) -> None:
    """Count the lines and branches that the tests reach, in processes that they start too."""
    session.install("--editable", ".[test]", "coverage>=7.10")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-q", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    least = () if session.posargs else ("--fail-under=95",)
    session.run("coverage", "report", "--skip-covered", "--show-missing", *least)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on every Python of this machine."""
    session.run("python", "tests/run.py", *(("--", *session.posargs) if session.posargs else ()))
