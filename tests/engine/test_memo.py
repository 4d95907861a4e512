"""What a plan remembers is bounded, whatever a program sends, and is what a new scan would give."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, String, Table, create_engine

from landscape_compat.engine.lookout import Lookout
from landscape_compat.engine.memo import PreparedPlan
from landscape_compat.errors import WriteRefusedError
from landscape_compat.projection import rewrite
from landscape_compat.projection.rewrite import rewrite_statement
from landscape_compat.projection.rules import RuleSet, mapped
from landscape_compat.schema.catalogue import catalogue_for
from support.planned import plan_for

METADATA = MetaData()
Table("tokens", METADATA, Column("token_id", String(64)), Column("branch_name", String(64)))
POINT = "SELECT token_id, branch_name FROM tokens WHERE token_id = ?"


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    real = rewrite_statement

    def counted(text: str, *args: object, **kwargs: object) -> object:
        texts.append(text)
        return real(text, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(rewrite, "rewrite_statement", counted)
    return texts


@pytest.fixture
def prepared() -> Iterator[PreparedPlan]:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE tokens (token_id VARCHAR(64))")
    yield PreparedPlan(plan_for(connection, METADATA), lambda _: None)
    connection.close()


def in_list(count: int, operator: str = "IN") -> str:
    return (
        f"SELECT branch_name FROM main.tokens WHERE token_id {operator} "
        f"({', '.join('?' * count)}) ORDER BY 1"
    )


def test_1500_lengths_of_a_list_are_scanned_eight_times(
    prepared: PreparedPlan, scanned: list[str]
) -> None:
    """Once for all long ones, and short ones each; twice, the second time from memory."""
    for _ in range(2):
        for count in range(1, 1501):
            prepared.rewrite(in_list(count))
    assert len(scanned) == 8
    for count in (1, 7, 8, 9, 500):
        expected = rewrite_statement(in_list(count), prepared.plan)
        assert prepared.rewrite(in_list(count)) == expected
        assert prepared.sent[in_list(count)] == expected.text


def test_a_comment_that_differs_each_time(prepared: PreparedPlan, scanned: list[str]) -> None:
    """One scan, nothing more to remember, and what was there before stays."""
    prepared.rewrite(POINT)
    size = len(prepared)
    for number in range(5000):
        text = f"{POINT} /*traceparent='00-{number:032x}-01'*/"
        assert prepared.rewrite(text).text == prepared.sent[POINT] + text[len(POINT) :]
    assert len(scanned) == 2  # with the space before the comment, and without
    assert len(prepared) == size + 1
    assert POINT in prepared.sent


def test_nothing_grows_without_bound(prepared: PreparedPlan) -> None:
    """Statements that have nothing in common push out older ones; long ones do so sooner."""
    for number in range(3000):
        prepared.rewrite(f"SELECT {number} FROM tokens")
    assert len(prepared) <= 2 * 1000
    filling = "x" * 100_000
    for number in range(60):
        prepared.rewrite(f"SELECT '{filling}', {number} FROM tokens")
    assert sum(map(sys.getsizeof, prepared.sent.values())) < 5_000_000
    prepared.rewrite(POINT)
    assert prepared.rewrite(POINT).text == prepared.sent[POINT]
    prepared.rewrite(in_list(3))
    assert POINT in prepared.sent


def test_plans_do_not_pile_up(tmp_path: Path) -> None:
    """A database whose schema changes all the time is planned for anew, and old plans go."""
    lookout = Lookout("audit.db", METADATA, RuleSet(()), catalogue_for("sqlite"), None)
    engine = create_engine(f"sqlite:///{tmp_path / 'audit.db'}")
    with engine.begin() as connection:
        raw = connection.connection.dbapi_connection
        for number in range(30):
            connection.exec_driver_sql(f"CREATE TABLE made_{number} (a)")
            lookout.look(raw, engine.dialect)
    engine.dispose()
    assert 0 < len(lookout._plans) < 15


def test_only_what_reads_is_sent_unasked(prepared: PreparedPlan) -> None:
    """Refused writes, transaction control and what reads as stored is looked at every time."""
    with pytest.raises(WriteRefusedError):
        prepared.rewrite("DELETE FROM tokens")
    with pytest.raises(WriteRefusedError):
        prepared.rewrite(f"INSERT INTO tokens VALUES ({', '.join('?' * 9)}) /* c */")
    prepared.rewrite("BEGIN")
    prepared.rewrite("PRAGMA table_info(tokens)")
    assert prepared.rewrite("SELECT * FROM tokens", as_stored=True).text == "SELECT * FROM tokens"
    assert not prepared.sent
    assert prepared.rewrite("SELECT * FROM tokens").text.startswith("WITH tokens AS")


def test_a_text_that_holds_a_number_like_ours(prepared: PreparedPlan) -> None:
    """Even then the answer is that of a whole scan."""
    text = in_list(9).replace("branch_name", "branch_name, 90713558000")
    assert prepared.rewrite(text) == rewrite_statement(text, prepared.plan)


def test_a_rule_that_holds_a_number_like_ours(scanned: list[str]) -> None:
    """It comes in by what a statement is made into, where ours would be taken for it."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE tokens (token_id VARCHAR(64))")
    rules = [mapped("tokens.token_id", {"old": "90713558000"})]
    prepared = PreparedPlan(plan_for(connection, METADATA, rules), lambda _: None)
    for _ in range(2):
        rewritten = prepared.rewrite(in_list(9))
        assert rewritten == rewrite_statement(in_list(9), prepared.plan)
        assert "'90713558000'" in rewritten.text
    connection.execute("INSERT INTO tokens VALUES ('old')")
    found = connection.execute(
        rewritten.text.replace("branch_name FROM", "token_id FROM"), ["90713558000"] * 9
    )
    assert found.fetchall() == [("90713558000",)]
    connection.close()
