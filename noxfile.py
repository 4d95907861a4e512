"""Every check of the project as a session; `.ci/run` runs them all.

    nox                  the linters, the types and the documentation
    nox -s docs          one of them
    nox -s tests -- -k fingerprint

The tests themselves are run by `python3 tests/run.py`, which needs nothing installed.
"""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "types", "docs"]
nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True

PLACES = ("src", "tests", "docs", "noxfile.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Look for faults, the house's form, and misspelt words."""
    session.install("ruff>=0.9", "codespell>=2.4")
    session.run("ruff", "check", "--no-cache", *PLACES)
    session.run("ruff", "format", "--no-cache", "--check", *PLACES)
    session.run("codespell", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", *PLACES)


@nox.session
def types(session: nox.Session) -> None:
    """Check the types."""
    session.install("--editable", ".[dev]")
    session.run("mypy", "--strict", "--no-error-summary", f"--cache-dir={session.create_tmp()}")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    session.install("--editable", ".[docs]")
    out = session.create_tmp()
    session.run("sphinx-build", "-W", "-n", "-q", "--keep-going", "-E", "docs", f"{out}/html")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on every Python of this machine."""
    session.run("python", "tests/run.py", *(("--", *session.posargs) if session.posargs else ()))
