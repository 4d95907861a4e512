"""What other tools see: text and pandas what is declared, reflection and Alembic the truth."""

from __future__ import annotations

import pandas as pd
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine

from landscape_compat import attach

from .conftest import Older

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")
METADATA = sa.MetaData()
RUNS = sa.Table(
    "runs",
    METADATA,
    sa.Column("run_id", sa.String(8), primary_key=True),
    sa.Column("status", sa.Text),
)
TOKENS = sa.Table(
    "tokens",
    METADATA,
    sa.Column("token_id", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.String(8)),
    sa.Column("kind", sa.String(8)),
    sa.Column("secret", sa.Text),
    sa.Column("grp", sa.Text),
)


def test_text_and_driver_sql(older: Older, engine: Engine) -> None:
    """With named and positional parameters, and percent signs."""
    mark = "?" if older.file else "%s"
    with attach(engine, METADATA), engine.connect() as connection:
        text = sa.text(
            "SELECT token_id, grp FROM tokens WHERE token_id > :least AND kind LIKE 'pl%'"
        )
        assert connection.execute(text, {"least": 1}).all() == [(3, None)]
        typed = sa.text("SELECT grp, token_id FROM tokens").columns(TOKENS.c.grp, TOKENS.c.token_id)
        assert len(connection.execute(typed).all()) == 3
        driver = f"SELECT grp FROM tokens WHERE token_id = {mark}"
        assert connection.exec_driver_sql(driver, (1,)).all() == [(None,)]
        with pytest.raises(sa.exc.DBAPIError):
            connection.execute(sa.text("SELECT nothing FROM tokens"))


@pytest.fixture
def pandas_knows_sqlalchemy() -> None:
    bare = sa.create_engine("sqlite://")
    try:
        with bare.connect() as connection:
            pd.read_sql("SELECT 1", connection)
    except UserWarning:
        pytest.skip(f"NOT READ WITH PANDAS: it knows no SQLAlchemy as old as {sa.__version__}")
    finally:
        bare.dispose()


@pytest.mark.usefixtures("pandas_knows_sqlalchemy")
def test_pandas(engine: Engine) -> None:
    """By a query, and by the name of a table."""
    with attach(engine, METADATA), engine.connect() as connection:
        frame = pd.read_sql("SELECT token_id, grp FROM tokens ORDER BY 1", connection)
        assert frame["token_id"].tolist() == [1, 2, 3]
        assert frame["grp"].isna().all()
        whole = pd.read_sql(sa.select(TOKENS), connection, index_col="token_id")
        assert list(whole.columns) == ["run_id", "kind", "secret", "grp"]
        stored = pd.read_sql_table("tokens", connection)
        assert "grp" not in stored.columns  # it reflects the table first


def test_reflection_sees_the_truth(engine: Engine) -> None:
    """What is stored, not what is declared."""
    with attach(engine, METADATA):
        inspector = sa.inspect(engine)
        names = [column["name"] for column in inspector.get_columns("tokens")]
        assert names == ["token_id", "run_id", "kind", "secret"]
        assert sorted(inspector.get_table_names()) == ["runs", "tokens"]
        assert inspector.get_pk_constraint("tokens")["constrained_columns"] == ["token_id"]
        reflected = sa.Table("tokens", sa.MetaData(), autoload_with=engine)
        assert "grp" not in reflected.c
        with engine.connect() as connection:
            assert len(connection.execute(sa.select(reflected)).all()) == 3


def test_alembic_still_finds_what_is_to_be_migrated(engine: Engine) -> None:
    """The shim does not hide the missing column from a migration."""
    with attach(engine, METADATA), engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), METADATA)
    # What changes a column is a list; of a primary key in SQLite it says that NULL is allowed.
    added = [step for step in found if isinstance(step, tuple)]
    assert [(step[0], step[3].name) for step in added] == [("add_column", "grp")]
