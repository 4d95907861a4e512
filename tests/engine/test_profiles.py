"""A profile brings what a program declares, its rules and its history, by the name of an entry."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from landscape_compat import Profile, RuleError, absent, attach, load_profile, renamed
from landscape_compat.engine import profiles
from landscape_compat.errors import DegradedReadWarning
from support.legacy import Written
from support.untouched import untouched

METADATA = sa.MetaData()
USERS = sa.Table("users", METADATA, sa.Column("id", sa.Integer), sa.Column("name", sa.Text))
PROFILE = Profile(METADATA, [renamed("users.name", "login")])
BROKEN = object()


def test_the_landscapes_own_profile_is_found() -> None:
    """It is registered as anybody's would be."""
    found = load_profile("elspeth")
    assert "tokens" in found.metadata.tables
    assert found.known is not None
    assert len(found.known()) > 50
    assert "elspeth" in profiles.profile_names()


@pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")
def test_an_engine_is_attached_by_a_profile(tmp_path: Path) -> None:
    """The rules come with it."""
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file)) as database:
        database.executescript("CREATE TABLE users (id, login); INSERT INTO users VALUES (1, 'x')")
    engine = sa.create_engine(f"sqlite:///{file}")
    with untouched(file), attach(engine, PROFILE), engine.connect() as connection:
        assert connection.execute(sa.select(USERS)).all() == [(1, "x")]
        assert attach(engine, PROFILE).report().table("users").filled[0].kind == "renamed"
        connection.close()
        engine.dispose()


def test_its_history_names_the_shape_that_a_warning_is_about(legacy: Written) -> None:
    profile = load_profile("elspeth")
    engine = sa.create_engine(f"sqlite:///{legacy.path}")
    attach(engine, profile)
    with (
        engine.connect() as connection,
        pytest.warns(DegradedReadWarning, match=r"\(schema 2026-01-18/df2fa70fb \(exact\)\)"),
    ):
        connection.execute(sa.select(profile.metadata.tables["tokens"])).all()
    engine.dispose()


def test_a_rule_for_what_is_not_declared_is_refused() -> None:
    """When the profile is made, not when a database happens to need it."""
    with pytest.raises(RuleError, match=r"users\.nmae"):
        Profile(METADATA, [absent("users.nmae")])


def test_contradicting_rules_are_refused() -> None:
    """Also when it is made."""
    with pytest.raises(RuleError, match="Two rules"):
        Profile(METADATA, [absent("users.name"), renamed("users.name", "login")])


def _points(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    found = tuple(EntryPoint("mine", value, profiles.GROUP) for value in values)
    monkeypatch.setattr(profiles, "entry_points", lambda **_: found)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((), "No installed distribution brings a profile 'mine'"),
        (("a:b", "c:d"), "Several distributions bring a profile 'mine'"),
        ((f"{__name__}:BROKEN",), "no Profile"),
    ],
)
def test_what_cannot_be_loaded_is_said(
    monkeypatch: pytest.MonkeyPatch, values: Any, said: str
) -> None:
    """With what there is instead."""
    _points(monkeypatch, *values)
    monkeypatch.setattr("importlib.import_module", lambda name: __import__("sys").modules[name])
    with pytest.raises(RuleError, match=said):
        load_profile("mine")


def test_an_entry_point_may_lead_to_the_profile_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or to what makes it, as the Landscape's does."""
    _points(monkeypatch, f"{__name__}:PROFILE")
    monkeypatch.setattr("importlib.import_module", lambda name: __import__("sys").modules[name])
    assert load_profile("mine") is PROFILE
