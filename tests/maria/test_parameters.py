"""What PyMySQL makes of percent signs and parameters, it makes of what is read here as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from landscape_compat import UnreadableError, WriteRefusedError, attach, mapped, neutral
from landscape_compat.projection.scan import scan_statement
from landscape_compat.projection.tokens import MARIADB
from support.mariadb import MariaDatabase

from .conftest import METADATA, OLD

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

RULES = [neutral("tokens.grp", sa.literal("5%")), mapped("tokens.name", {"one": "mapped"})]
AS_IT_IS = {"no_parameters": True}


@pytest.fixture
def connection(maria: MariaDatabase, engine: Engine) -> Iterator[Connection]:
    """Give a connection to a degraded database with a rule whose value has a percent sign."""
    maria.run(OLD)
    with attach(engine, METADATA, rules=RULES), engine.connect() as connection:
        yield connection


def test_a_text_that_is_sent_as_it_is(connection: Connection) -> None:
    """It got the percent sign of a rule's value twice."""
    text = "SELECT name, grp, 7 % 4, '%s%%' FROM tokens WHERE token_id = 1"
    found = connection.exec_driver_sql(text, execution_options=AS_IT_IS).all()
    assert found == [("mapped", "5%", 3, "%s%%")]
    doubled = text.replace("%", "%%")
    assert connection.exec_driver_sql(doubled).all() == found


def test_what_looks_like_a_parameter_of_one(connection: Connection) -> None:
    """What stands in parentheses behind a percent sign is read, not passed over."""
    text = "SELECT 7 %(SELECT count(name) FROM tokens WHERE name = 'mapped')s"
    assert connection.exec_driver_sql(text, execution_options=AS_IT_IS).scalar() == 0
    for inner in ("SELECT @x := 5", "SELECT a FROM plain FOR UPDATE"):
        with pytest.raises(WriteRefusedError):
            connection.exec_driver_sql(f"SELECT 7 %({inner})s", execution_options=AS_IT_IS)


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("SELECT 1 /* %s */", ("*/ INTO @x -- ",)),
        ("/* %s */ SELECT 1", ("*/ SELECT name FROM tokens -- ",)),
        ("SELECT '%s'", (", name FROM tokens -- ",)),
        ("SELECT `%s`", ("x",)),
        ('SELECT "%(a)s"', {"a": "x"}),
        ("SELECT '%r'", ("x",)),
        ("SELECT * FROM token%s", (1,)),
        ("SELECT 1 FROM tokens WHERE '(%s, %s, %s, %s, %s, %s, %s, %s, %s)' > ''", (1,) * 9),
    ],
)
def test_a_parameter_where_no_value_stands(
    connection: Connection, text: str, parameters: Any
) -> None:
    """It would end the string, the comment or the name, and what it holds be read by nobody."""
    with pytest.raises(UnreadableError, match="where no value stands"):
        connection.exec_driver_sql(text, parameters)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT %s, %(a)s, '%%s', 5 %% 2, `%%` FROM tokens WHERE a IN(%s,%s) /* 5%% */",
        "SELECT a FROM t WHERE a=%s LIMIT %s",
    ],
)
def test_a_parameter_that_stands_alone(text: str) -> None:
    """It is not refused, nor is a percent sign that is doubled."""
    syntax = MARIADB._replace(doubles_percent=True)
    assert not scan_statement(text, syntax).misplaces
