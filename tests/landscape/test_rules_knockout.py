"""Each value that readers filter on is needed: with NULL in its place, records are lost unseen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, func, select

from landscape_compat.engine.attach import attach
from landscape_compat.errors import UnreadableError
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.metadata import metadata_of
from landscape_compat.landscape.rules import landscape_rules
from landscape_compat.projection.rules import RuleSet, absent
from landscape_compat.schema.known import KnownShape
from landscape_compat.schema.shape import SchemaShape
from support.corpus import reading, require_corpus, written_by
from support.hosts import url_of
from support.legacy import build_shape
from support.seen import without
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

RULES = landscape_rules()
NEWEST = known_shapes()[-1]
FILTERED = sorted({rule.target for rule in RULES if rule.essential and not rule.replaces})
TODAYS = [target for target in FILTERED if NEWEST.shape.has(target)]
# Every build stored this, and its rule is for databases that were altered.
ALWAYS = {"token_outcomes.run_id"}


def knocked_out(*targets: str) -> RuleSet:
    """Give the rules with NULL in place of what some columns are given."""
    nulls = (absent(target, why="knocked out", evidence="none") for target in targets)
    return RuleSet((*(rule for rule in RULES if rule.target not in targets), *nulls))


def lacking(target: str) -> tuple[SchemaShape, KnownShape]:
    """Give a shape without a column, of which a rule makes it, and one that declares it."""
    table, _, column = target.partition(".")
    declared = next(k for k in reversed(known_shapes()) if k.shape.has(target))
    stored = [k.shape for k in known_shapes() if k.shape.table(table)]
    for shape in (*(s for s in stored if not s.has(target)), without(declared.shape, target)):
        if RULES.rule_for(table, column, shape, declared.shape):
            return shape, declared
    raise AssertionError(f"no rule gives {target} a value")


@contextmanager
def read(path: Path, declared: KnownShape, rules: RuleSet) -> Iterator[Connection]:
    """Read a database as a reader that declares a shape, by some rules."""
    engine = create_engine(url_of(path))
    attach(engine, metadata_of(declared), rules=rules, read_only=True)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def found(connection: Connection, declared: KnownShape, target: str, runs: tuple[str, ...]) -> int:
    """Count the rows that a reader finds: run by run, page by page, or by a flag."""
    name, _, column = target.partition(".")
    table = metadata_of(declared).tables[name]
    asked = select(func.count()).select_from(table)
    wanted = {
        "run_id": [table.c[column] == run for run in runs],
        "ingest_sequence": [table.c[column] >= -(2**63)],
    }.get(column, [table.c[column] == table.c[column]])
    return sum(connection.execute(asked.where(each)).scalar_one() for each in wanted)


@pytest.mark.parametrize("target", FILTERED)
def test_with_null_in_its_place_records_are_lost_and_nothing_is_said(
    tmp_path: Path, target: str
) -> None:
    """By the rule a reader finds every record, by NULL none, and no error tells of it."""
    stored, declared = lacking(target)
    written = build_shape(tmp_path / "audit.db", stored, rows=3, runs=5, long_text=False)
    count = len(written.tables[target.partition(".")[0]].rows)
    assert count
    with untouched(written.path):
        with read(written.path, declared, RULES) as connection:
            assert found(connection, declared, target, written.run_ids) == count
        with read(written.path, declared, knocked_out(target)) as connection:
            assert found(connection, declared, target, written.run_ids) == 0


@pytest.mark.parametrize("target", FILTERED)
def test_where_it_cannot_be_derived_reading_is_refused(tmp_path: Path, target: str) -> None:
    """A column that readers filter on is never NULL for want of what it is derived from."""
    stored, declared = lacking(target)
    table, _, column = target.partition(".")
    rule = RULES.rule_for(table, column, stored, declared.shape)
    assert rule is not None
    for source in sorted(path for path in rule.stored if "." in path):
        path = tmp_path / f"{source}.db"
        written = build_shape(path, without(stored, source), rows=1, runs=3, long_text=False)
        with untouched(path), read(path, declared, RULES) as connection:
            with pytest.raises(UnreadableError, match=column) as caught:
                found(connection, declared, target, written.run_ids)
            assert caught.value.table == table


def test_of_a_real_record_of_january_a_reader_of_today_would_find_nothing() -> None:
    """By the rules it finds every record of four pipelines; with NULL for them, none."""
    kept, left, stored = Counter[str](), Counter[str](), Counter[str]()
    for path in [path for path in require_corpus() if written_by(path)[1] == "1f057c081"]:
        with reading(path) as opened:
            runs = tuple(row[0] for row in opened.execute("SELECT run_id FROM runs"))
            for target in TODAYS:
                asked = f"SELECT count(*) FROM {target.partition('.')[0]}"
                stored[target] += opened.execute(asked).fetchone()[0]
        with untouched(path):
            for rules, counts in ((RULES, kept), (knocked_out(*TODAYS), left)):
                with read(path, NEWEST, rules) as connection:
                    for target in TODAYS:
                        counts[target] += found(connection, NEWEST, target, runs)
    assert min(stored.values()) > 0
    assert kept == stored
    assert +left == Counter({target: stored[target] for target in ALWAYS})
