"""What MariaDB answers wrongly of a table that it merges is answered rightly, or refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from landscape_compat import UnreadableError, attach, neutral, renamed
from landscape_compat.projection.scan import scan_statement
from landscape_compat.projection.tokens import MARIADB
from support.answers import ask, compare
from support.mariadb import MariaDatabase

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

METADATA = sa.MetaData()
for _name in ("a", "b", "gone"):
    _columns = (sa.Column(column, sa.Integer) for column in ("id", "n", "later"))
    sa.Table(_name, METADATA, *_columns)
OLD = """
CREATE TABLE a (id int, n int);
INSERT INTO a VALUES (1, 10), (2, 20), (3, 30), (NULL, NULL);
CREATE TABLE b (id int, n int);
INSERT INTO b VALUES (7, 1), (8, 2), (1, 10), (NULL, 5), (2, NULL)
"""


@pytest.fixture
def pair(maria: MariaDatabase) -> Iterator[tuple[Connection, Connection]]:
    """Give a connection past the shim, which lacks no column that is asked for, and one by it."""
    maria.run(OLD)
    plain, engine = (sa.create_engine(maria.url(), poolclass=sa.NullPool) for _ in range(2))
    with attach(engine, METADATA), plain.connect() as stored, engine.connect() as shown:
        yield stored, shown


# No row of `b` has a partner, so that nothing is found.
WITHIN = (
    "SELECT b.n FROM b LEFT JOIN a AS x ON x.id = b.n + 100 WHERE x.n IN "
    "(SELECT max(n) FROM a AS y GROUP BY id)"
)


@pytest.mark.parametrize(
    "text",
    [
        f"SELECT count(*) FROM a WHERE id IN ({WITHIN})",
        f"SELECT count(*) FROM a WHERE id = ANY ({WITHIN})",
        f"SELECT count(*) FROM a WHERE id = SOME (({WITHIN}))",
        f"SELECT count(*) FROM a WHERE EXISTS ({WITHIN} AND b.n = a.id)",
        f"WITH w AS ({WITHIN}) SELECT count(*) FROM a WHERE 5 IN (SELECT 5 FROM w)",
        f"SELECT max('x') FROM a WHERE id IN ({WITHIN.replace('GROUP', 'HAVING max(n) GROUP')})",
    ],
)
def test_groups_that_are_looked_for_among_themselves(
    pair: tuple[Connection, Connection], text: str
) -> None:
    """A test within a test, of a column that an outer join leaves empty, finds nothing."""
    text = text.replace("HAVING max(n) GROUP BY id", "GROUP BY id HAVING max(n) > 0")
    stored, shown = pair
    expected = ask(stored, text)
    assert expected[1:] in (["[('int', 0)]"], ["[('NoneType', None)]"])  # type: ignore[index]
    assert ask(shown, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "SELECT coalesce(x.n, 5), count(*) FROM a AS x GROUP BY coalesce(x.n, 5) WITH ROLLUP",
        "SELECT x.id, x.n + 1 AS m, count(*) FROM a AS x GROUP BY x.id, x.n + 1 WITH ROLLUP",
        "SELECT coalesce(x.n, 5), count(*) FROM b LEFT JOIN gone AS x ON b.n = x.n "
        "GROUP BY coalesce(x.n, 5) WITH ROLLUP",
        "SELECT coalesce(later, n) AS m, count(*) FROM b GROUP BY coalesce(later, n) WITH ROLLUP",
    ],
)
def test_a_key_that_is_kept_in_the_row_for_all(
    pair: tuple[Connection, Connection], text: str
) -> None:
    """Of a key that is worked out of merged columns, the last group's stood for all groups."""
    stored, shown = pair
    gone = "(SELECT * FROM a LIMIT 0)"
    expected = ask(stored, text.replace("later", "NULL").replace("gone", gone))
    assert expected[-1].startswith("[('NoneType', None)")  # type: ignore[index]
    assert ask(shown, text) == expected


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
@pytest.mark.parametrize(
    "text",
    [
        "SELECT later, count(*) FROM c WHERE id > 5",
        "SELECT later, max(id) FROM c WHERE 1 = 0",
        "SELECT (SELECT concat(later, count(*)) FROM c WHERE id > 5)",
        "SELECT x.later, count(*) FROM c JOIN c AS x WHERE x.id > 5",
    ],
)
def test_a_value_of_no_row(maria: MariaDatabase, text: str, key: str) -> None:
    """Beside an aggregate of no rows, a value is NULL, as that of a stored column would be."""
    maria.run(f"CREATE TABLE c (id int {key}); INSERT INTO c VALUES (1), (2)")
    metadata = sa.MetaData()
    sa.Table("c", metadata, sa.Column("id", sa.Integer), sa.Column("later", sa.String(9)))
    engine = sa.create_engine(maria.url(), poolclass=sa.NullPool)
    with (
        attach(engine, metadata, rules=[neutral("c.later", sa.literal("x"))]),
        engine.connect() as shown,
    ):
        found = ask(shown, text)
        assert ask(shown, "SELECT later FROM c") == ["['later']", *["[('str', 'x')]"] * 2]
    maria.run("ALTER TABLE c ADD COLUMN later varchar(9) DEFAULT 'x'")
    with engine.connect() as stored:
        assert found == ask(stored, text)
    engine.dispose()


@pytest.mark.parametrize(
    "test", ["NOT IN (SELECT 9 FROM b)", "< ALL (SELECT 99 FROM b)", "IN (SELECT n FROM a AS y)"]
)
def test_a_column_of_a_window_and_of_a_test(maria: MariaDatabase, test: str) -> None:
    """A test took a merged column from the window's results, before there were any."""
    maria.run(
        f"{OLD}; INSERT INTO b SELECT seq, seq FROM seq_10_to_40;"
        "ALTER TABLE a ADD COLUMN `key` int AUTO_INCREMENT PRIMARY KEY, ADD KEY (n, id)"
    )
    text = (
        "SELECT x.id, max(x.n) OVER (PARTITION BY x.id), sum(x.n) OVER (PARTITION BY x.n) "
        f"FROM a AS x WHERE x.n {test} ORDER BY 1"
    )
    plain, engine = (sa.create_engine(maria.url(), poolclass=sa.NullPool) for _ in range(2))
    with attach(engine, METADATA), plain.connect() as stored, engine.connect() as shown:
        expected = ask(stored, text)
        assert len(expected) == 4  # type: ignore[arg-type]
        assert ask(shown, text) == expected
    plain.dispose()
    engine.dispose()


def test_a_column_by_two_names(maria: MariaDatabase) -> None:
    """Of `a = b AND a <=> c`, where b and c are one stored column, both comparisons count."""
    maria.run("CREATE TABLE c (id int, n int, KEY (n)); INSERT INTO c VALUES (1, 1), (NULL, NULL)")
    metadata = sa.MetaData()
    sa.Table("c", metadata, sa.Column("id", sa.Integer), sa.Column("later", sa.Integer))
    engine = sa.create_engine(maria.url(), poolclass=sa.NullPool)
    text = "SELECT c.id FROM c JOIN c AS x ON c.id = x.later WHERE c.id <=> x.n"
    with attach(engine, metadata, rules=[renamed("c.later", "n")]), engine.connect() as shown:
        assert ask(shown, text) == ["['id']", "[('int', 1)]"]
        plan = shown.exec_driver_sql("EXPLAIN SELECT id FROM c WHERE later <=> 1").mappings().one()
        assert plan["key"] == "n"
    engine.dispose()


def test_one_test_alone_leaves_a_table_as_it_is(pair: tuple[Connection, Connection]) -> None:
    """It is not worked out whole, which would cost its indexes."""
    _, shown = pair
    plan = shown.exec_driver_sql(f"EXPLAIN {WITHIN}").mappings().all()
    assert not any(str(row["table"]).startswith("<derived") for row in plan)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("SELECT 1 FROM a WHERE n IN (SELECT sum(n) OVER () FROM b)", "w"),
        ("SELECT 1 FROM a WHERE n NOT IN ((SELECT 1 + sum(n) OVER w FROM b WINDOW w AS ()))", "w"),
        ("SELECT 1 FROM a WHERE n = ANY (SELECT 1 UNION (SELECT rank() OVER () FROM b))", "gw"),
        ("SELECT 1 FROM a WHERE n > ALL (SELECT coalesce(max(n) OVER (), 0) FROM b)", "w"),
        ("SELECT 1 FROM a WHERE n IN (SELECT m FROM (SELECT max(n) OVER () AS m FROM b) w)", ""),
        ("SELECT 1 FROM a WHERE EXISTS (SELECT max(n) OVER () FROM b)", ""),
        ("SELECT 1 UNION ALL (SELECT max(n) OVER () FROM b)", ""),
        ("SELECT ALL (SELECT max(n) FROM b), max(n) OVER () FROM a WHERE n IN (1, 2)", ""),
        ("SELECT max(n) OVER () FROM a WHERE n IN (SELECT n FROM b)", ""),
        ("SELECT 1 FROM a WHERE n IN (SELECT n FROM b GROUP BY n) AND EXISTS (SELECT 1)", "g"),
        ("SELECT 1 FROM a WHERE EXISTS (SELECT max(n) FROM b HAVING 1) OR n IN (SELECT 1)", "g"),
        ("SELECT 1 FROM a WHERE n IN (SELECT n FROM b GROUP BY n) AND n IN (1, 2)", ""),
        ("SELECT 1 FROM a WHERE n IN (SELECT n FROM b) AND n IN (SELECT 1) GROUP BY n", ""),
    ],
)  # fmt: skip
def test_what_is_seen_of_a_test(text: str, seen: str) -> None:
    """That one of several groups (g), and that a window is compared with (w)."""
    scan = scan_statement(text, MARIADB)
    assert scan.tests_groups == ("g" in seen)
    assert scan.compares_windows == ("w" in seen)


@pytest.mark.parametrize(
    ("having", "is_refused"),
    [
        ("max(n) IN (SELECT n FROM b)", True),
        ("max(n) > 1 AND (id IS NULL OR max(n) NOT IN (SELECT n FROM b))", True),
        ("coalesce(max(n) = ANY (SELECT n FROM b), 0)", True),
        ("max(n) > 1 OR max(n) IN (1, 2)", False),
        ("max(n) > (SELECT max(n) FROM b WHERE n IN (SELECT n FROM a AS y))", False),
        ("max(n) > 1 UNION SELECT 1, 2 FROM b WHERE n IN (SELECT n FROM a AS y)", False),
        ("max(n) > 1 ORDER BY max(n) IN (SELECT n FROM b)", False),
    ],
)
def test_a_comparison_with_what_a_subquery_gives_in_having(
    pair: tuple[Connection, Connection], having: str, *, is_refused: bool
) -> None:
    """The server takes another group's value for it, of stored tables as well."""
    stored, shown = pair
    text = f"SELECT id, max(n) FROM a WHERE n IN (SELECT n FROM a) GROUP BY id HAVING {having}"
    if is_refused:
        with pytest.raises(UnreadableError, match="in HAVING"):
            shown.exec_driver_sql(text)
    else:
        assert compare(ask(stored, text), ask(shown, text), ordered=False) == "rows"


def test_a_comparison_with_what_a_window_gives(pair: tuple[Connection, Connection]) -> None:
    """The server forgets it where it works the window out for each row; it is refused by name."""
    stored, shown = pair
    window = "SELECT first_value(n) OVER (PARTITION BY n) AS m FROM a AS x WHERE x.n <> a.n"
    wrong = f"SELECT id FROM a WHERE n IN ({window})"
    with pytest.raises(UnreadableError, match="by a window function") as refused:
        shown.exec_driver_sql(wrong)
    # What the remedy says.
    assert "FROM (SELECT" in str(refused.value)
    inner = "SELECT first_value(n) OVER (PARTITION BY n) AS m FROM a AS x"
    text = (
        f"SELECT id FROM a WHERE n NOT IN (SELECT m FROM ({inner}) AS w WHERE m < 30) ORDER BY id"
    )
    assert ask(shown, text) == ask(stored, text) == ["['id']", "[('int', 3)]"]
