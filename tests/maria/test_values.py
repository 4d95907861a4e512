"""A value that is not stored is one of its type: it compares, sorts and joins as on a copy."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import mysql

from landscape_compat import UnreadableError, absent, attach, derived, mapped, neutral, renamed
from support.answers import ask, compare
from support.mariadb import MariaDatabase, MariaServer

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

OLD = """
CREATE TABLE people (id int PRIMARY KEY, name varchar(20), born date, tag varchar(9)) COLLATE {};
INSERT INTO people VALUES (1, 'X', '2000-01-01', 'b'), (2, 'x', NULL, 'B'), (3, 'y', NULL, NULL)
"""


class Spelt(sa.types.UserDefinedType[Any]):
    """A type of MariaDB's that SQLAlchemy has no name for in each of its versions."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        """Name it as MariaDB does."""
        return self.name


TYPES: dict[str, Any] = {
    "word": sa.String(20),
    "bytewise": sa.String(20, collation="utf8mb4_bin"),
    "latin": mysql.VARCHAR(20, charset="latin1", collation="latin1_german1_ci"),
    "plain_latin": mysql.VARCHAR(20, charset="latin1"),
    "tale": sa.Text(),
    "code": sa.CHAR(4),
    "doc": sa.JSON(),
    "flag": sa.Boolean(),
    "whole": sa.Integer(),
    "big": mysql.BIGINT(unsigned=True),
    "price": sa.Numeric(12, 3),
    "cost": mysql.DECIMAL(8, 2, unsigned=True),
    "ratio": sa.Double(),
    "rate": sa.Float(),
    "day": sa.Date(),
    "moment": sa.DateTime(),
    "exact": mysql.DATETIME(fsp=6),
    "stamp": sa.TIMESTAMP(),
    "clock": sa.Time(),
    "mood": sa.Enum("sad", "glad", name="mood"),
    "some": mysql.SET("a", "b"),
    "year": mysql.YEAR(),
    "raw": sa.LargeBinary(),
    "key": sa.VARBINARY(4),
}
QUESTIONS = """
SELECT c FROM people
SELECT * FROM people
SELECT coalesce(c, 'x') = 'X', coalesce(c, 'x') = name, collation(coalesce(c, 'x')) FROM people
SELECT coalesce(c, name), coalesce(name, c), concat(name, c), ifnull(c, 5) FROM people
SELECT ifnull(c, born) FROM people
SELECT nullif(name, c), CASE WHEN id = 1 THEN c ELSE name END, greatest(c, 1) FROM people
SELECT name FROM people WHERE name = c OR c IS NULL OR c = 'x' OR c > 5
SELECT c FROM people UNION SELECT name FROM people
SELECT c FROM people UNION ALL SELECT born FROM people
SELECT c FROM people UNION ALL SELECT id FROM people
SELECT c FROM people UNION SELECT 0.125 UNION SELECT 'text'
SELECT name, count(c) FROM people GROUP BY coalesce(c, name) ORDER BY 1
SELECT DISTINCT coalesce(c, tag) FROM people
SELECT c, count(*) FROM people GROUP BY c
SELECT max(c), min(c), sum(c), count(DISTINCT c) FROM people
SELECT id FROM people ORDER BY coalesce(c, tag), id
SELECT a.id FROM people a JOIN people b ON a.c = b.name
SELECT a.id, b.c FROM people a LEFT JOIN people b ON b.id = a.id AND b.c <=> a.c
SELECT id FROM people WHERE c IN (SELECT c FROM people) OR name IN (SELECT c FROM people)
SELECT id, first_value(c) OVER (ORDER BY id) FROM people
""".strip().split("\n")


@pytest.fixture(scope="module", params=["utf8mb4_unicode_ci", "latin1_swedish_ci", "utf8mb4_bin"])
def order(request: pytest.FixtureRequest) -> str:
    """Name the order of text of the stored table."""
    return str(request.param)


@pytest.fixture(scope="module")
def twins(
    maria_server: MariaServer, maria_twin: MariaServer, order: str
) -> tuple[MariaDatabase, MariaDatabase]:
    """Give two databases of one content and one name."""
    both = []
    for server in (maria_server, maria_twin):
        server.run("DROP DATABASE IF EXISTS people; CREATE DATABASE people")
        both.append(MariaDatabase(server, "people"))
        both[-1].run(OLD.format(order))
    return both[0], both[1]


def ask_both(
    twins: tuple[MariaDatabase, MariaDatabase], type_: Any, rules: Any, sql: str
) -> list[str]:
    """Add the column to the copy, and ask both; tell what came of each question."""
    metadata = sa.MetaData()
    sa.Table("people", metadata, sa.Column("id", sa.Integer), sa.Column("c", type_))
    older, copy = (sa.create_engine(database.url()) for database in twins)
    ddl = type_.compile(copy.dialect)
    twins[1].run(f"ALTER TABLE people ADD COLUMN c {ddl}; {sql}")
    try:
        with (
            attach(older, metadata, rules=rules),
            older.connect() as found,
            copy.connect() as expected,
        ):
            return [outcome(expected, found, text) for text in QUESTIONS]
    finally:
        twins[1].run("ALTER TABLE people DROP COLUMN c")
        older.dispose()
        copy.dispose()


def outcome(expected: Connection, found: Connection, text: str) -> str:
    """Ask one question of both."""
    ordered = "ORDER BY" in text and "GROUP" not in text
    return compare(ask(expected, text), ask(found, text), ordered=ordered, on_mariadb=True)


@pytest.mark.parametrize("name", TYPES)
def test_an_absent_column_of_any_type(
    twins: tuple[MariaDatabase, MariaDatabase], name: str
) -> None:
    """Nothing is refused, and nothing differs."""
    outcomes = ask_both(twins, TYPES[name], [], "")
    assert "refused" not in outcomes
    assert outcomes.count("rows") > len(outcomes) / 2


@pytest.mark.parametrize("name", ["UUID", "INET6"])
def test_an_absent_column_of_a_type_that_few_texts_are_values_of(
    twins: tuple[MariaDatabase, MariaDatabase], name: str
) -> None:
    """Where MariaDB refuses to compare the copy's column with text, it refuses ours too."""
    outcomes = ask_both(twins, Spelt(name), [], "")
    assert "refused" not in outcomes
    assert outcomes.count("rows") >= 10


_NAME = sa.table("people", sa.column("name"), sa.column("id"))
_OTHER = _NAME.alias("other")
RULES = {
    "same": (sa.String(20), renamed("people.c", "name"), "name"),
    "other order": (sa.String(20, collation="utf8mb4_bin"), renamed("people.c", "name"), "name"),
    "longer": (sa.Text(), renamed("people.c", "name"), "name"),
    "number": (sa.Integer(), renamed("people.c", "id"), "id"),
    "wider": (sa.BigInteger(), renamed("people.c", "id"), "id"),
    "decimal": (sa.Numeric(9, 2), renamed("people.c", "id"), "id"),
    "double": (sa.Double(), renamed("people.c", "id"), "id"),
    "as text": (sa.String(20), renamed("people.c", "id"), "id"),
    "day": (sa.Date(), renamed("people.c", "born"), "born"),
    "named": (sa.Integer(), mapped("people.c", _NAME.c.id.label("x")), "id"),
    "flag": (sa.Boolean(), neutral("people.c", sa.true()), "true"),
    "least": (sa.Integer(), neutral("people.c", sa.literal(0)), "0"),
    "truth": (sa.Boolean(), mapped("people.c", sa.true()), "true"),
    "word": (sa.String(9), neutral("people.c", sa.literal("x")), "'x'"),
    "lookup": (
        sa.String(20),
        derived(
            "people.c",
            sa.select(sa.func.max(_OTHER.c.name)).where(_OTHER.c.id >= _NAME.c.id),
        ),
        "'y'",  # the greatest name is the last row's
    ),
    "case or null": (
        sa.Integer(),
        mapped("people.c", sa.case((_NAME.c.id == 1, 7), else_=sa.null())),
        "CASE WHEN id = 1 THEN 7 END",
    ),
    "case": (
        sa.Integer(),
        mapped("people.c", sa.case((_NAME.c.id == 1, 7), else_=_NAME.c.id)),
        "CASE WHEN id = 1 THEN 7 ELSE id END",
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_a_value_of_a_rule(twins: tuple[MariaDatabase, MariaDatabase], name: str) -> None:
    """Is what the column would hold."""
    type_, rule, value = RULES[name]
    outcomes = ask_both(twins, type_, [rule], f"UPDATE people SET c = {value}")
    assert "refused" not in outcomes
    assert outcomes.count("rows") > len(outcomes) / 2


@pytest.mark.parametrize(
    ("type_", "rule"),
    [
        (mysql.VARCHAR(9, charset="latin1"), renamed("people.c", "name")),
        (mysql.VARCHAR(9, charset="latin1"), neutral("people.c", sa.literal("\u20ac"))),
        (sa.CHAR(20), renamed("people.c", "name")),
        (sa.Enum("X", "x", name="e"), renamed("people.c", "name")),
        (sa.DateTime(), renamed("people.c", "born")),
        (sa.Integer(), renamed("people.c", "name")),
        (sa.Date(), renamed("people.c", "name")),
        (sa.LargeBinary(), renamed("people.c", "name")),
        (mysql.BIT(3), renamed("people.c", "id")),
        (sa.BINARY(4), renamed("people.c", "id")),
        (sa.Integer(), mapped("people.c", sa.cast(sa.column("id"), mysql.INTEGER(unsigned=True)))),
    ],
)
def test_a_value_that_could_be_made_another_is_refused(
    maria: MariaDatabase, type_: Any, rule: Any
) -> None:
    """Of text in another character set, of fixed length, of another class."""
    maria.run(OLD.format("utf8mb4_unicode_ci"))
    metadata = sa.MetaData()
    sa.Table("people", metadata, sa.Column("id", sa.Integer), sa.Column("c", type_))
    engine = sa.create_engine(maria.url())
    with attach(engine, metadata, rules=[rule]), engine.connect() as connection:
        with pytest.raises(UnreadableError, match=r"MariaDB|No NULL|may not fit"):
            connection.exec_driver_sql("SELECT c FROM people")
        assert connection.exec_driver_sql("SELECT count(id) FROM people").scalar() == 3
    engine.dispose()


@pytest.mark.parametrize("type_", [mysql.BIT(3), sa.BINARY(4)])
def test_an_absent_column_that_has_no_null_is_refused(maria: MariaDatabase, type_: Any) -> None:
    """It would compare, or be put together with others, in another way."""
    test_a_value_that_could_be_made_another_is_refused(maria, type_, absent("people.c"))
