"""However a host, or a subclass of its own, is called to open a database, the shim meets it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from landscape_compat import install
from landscape_compat.errors import LandscapeCompatError
from support.hosts import OLD, Place, build_record, url_of
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def test_every_way_of_calling(place: Place, tmp_path: Path) -> None:
    """By keyword, through an instance, a subclass, a URL object, a relative path, a symlink."""
    written = build_record(tmp_path / "record", OLD)
    host = place("newest")
    link = tmp_path / "link.db"
    link.symlink_to(written.path)
    url = url_of(written.path)
    install()

    class Plain(host.db):  # type: ignore[misc,name-defined]
        pass

    class Overriding(host.db):  # type: ignore[misc,name-defined]
        @classmethod
        def from_url(cls, url: str, **options: Any) -> Any:
            db = super().from_url(url, create_tables=False, **options)
            db.extra = True
            return db

    current = host.db.in_memory()
    ways: dict[str, Callable[[], Any]] = {
        "keyword": lambda: host.db.from_url(create_tables=False, url=url),
        "instance": lambda: current.from_url(url, create_tables=False),
        "subclass": lambda: Plain.from_url(url, create_tables=False),
        "override": lambda: Overriding.from_url(url, echo=False),
        "object": lambda: host.db.from_url(make_url(url), create_tables=False),
        "symlink": lambda: host.db.from_url(url_of(link), create_tables=False),
        "uri": lambda: host.db.from_url(
            f"sqlite:///file:{written.path}?mode=rw&uri=true", create_tables=False
        ),
        "read_only": lambda: host.db.from_url(url, create_tables=False, read_only=True),
        "engine": lambda: host.db.from_url(
            url, create_tables=False, pool_size=2, connect_args={"timeout": 1}
        ),
    }
    with untouched(written.path):
        for name, call in ways.items():
            with call() as db:
                assert isinstance(db, host.db), name
                assert len(host.read(db)) == len(written.tables["tokens"].rows), name
            kinds = {"subclass": Plain, "override": Overriding}
            assert type(db) is kinds.get(name, host.db)
            assert hasattr(db, "extra") is (name == "override")
    assert host.writes == ["wal", "in_memory"]
    current.close()


def test_a_relative_path(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is relative to the folder of the process, as it is for the host."""
    written = build_record(tmp_path / "record", OLD)
    host = place("rc2")
    install()
    monkeypatch.chdir(tmp_path)
    with untouched(written.path):
        db = host.db.from_url("sqlite:///record/audit.db", create_tables=False)
        monkeypatch.chdir(written.path.parent)
        assert len(host.read(db)) == len(written.tables["tokens"].rows)
        db.close()


def test_a_constructor_of_a_subclass(place: Place, tmp_path: Path) -> None:
    """A subclass that calls the host's constructor keeps what it adds."""
    written = build_record(tmp_path / "record", OLD)
    host = place("seed")
    install()

    class Labelled(host.db):  # type: ignore[misc,name-defined]
        def __init__(self, label: str, url: str) -> None:
            super().__init__(connection_string=url)
            self.label = label

    with untouched(written.path):
        db = Labelled("old", url_of(written.path))
        assert (db.label, len(host.read(db))) == ("old", len(written.tables["tokens"].rows))
        db.close()


def test_wrong_calls_are_told_by_the_host(place: Place, tmp_path: Path) -> None:
    """What the host does not take it refuses itself, also for a degraded database."""
    written = build_record(tmp_path / "record", OLD)
    url = url_of(written.path)
    host = place("rc2")
    install()
    with untouched(written.path):
        for call in (
            host.db.from_url,
            partial(host.db.from_url, url, pool_size=3),
            partial(host.db.from_url, url, False),
            partial(host.db, url, passphrase="x"),
        ):
            with pytest.raises(TypeError, match=r"(from_url|__init__)\(\)"):
                call()
        for wrong in (None, 7, "no url"):
            with pytest.raises(Exception) as caught:  # noqa: PT011 - SQLAlchemy's own kinds
                host.db.from_url(wrong)
            assert not isinstance(caught.value, LandscapeCompatError)


def test_what_the_newest_host_refuses_together(place: Place, tmp_path: Path) -> None:
    """To open read-only and to create is the host's to refuse, and so is a bad engine option."""
    written = build_record(tmp_path / "record", OLD)
    url = url_of(written.path)
    host = place("newest")
    install()
    with untouched(written.path):
        with pytest.raises(ValueError, match="requires create_tables=False"):
            host.db.from_url(url, read_only=True)
        with pytest.raises(TypeError, match="nonsense"):
            host.db.from_url(url, create_tables=False, nonsense=True)
        with pytest.raises(ImportError, match="sqlcipher3"):
            host.db.from_url(url, create_tables=False, passphrase="secret")
