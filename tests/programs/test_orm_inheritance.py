"""The ORM reads classes over several tables, of which an older database lacks parts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, ForeignKey, String, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    deferred,
    mapped_column,
    relationship,
    selectin_polymorphic,
    selectinload,
    with_polymorphic,
)

from landscape_compat import attach

from .conftest import OLD, Older

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")
ENDS = """
CREATE TABLE ends (token_id integer PRIMARY KEY, reason text);
INSERT INTO ends VALUES (2, 'split');
"""


class Base(DeclarativeBase):
    """The declarations of the newer program."""


class Run(Base):
    """A run, whose note is deferred and not stored."""

    __tablename__ = "runs"
    run_id: Mapped[str] = mapped_column(String(8), primary_key=True)
    status: Mapped[str | None]
    note: Mapped[str | None] = deferred(mapped_column())
    tokens: Mapped[list[Token]] = relationship(order_by="Token.token_id")


class Token(Base):
    """A token, of the kind that its column says."""

    __tablename__ = "tokens"
    token_id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    kind: Mapped[str] = mapped_column(String(8))
    grp: Mapped[str | None]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "plain"}  # noqa: RUF012


class Forked(Token):
    """One that has more in a table of its own, which lacks a column."""

    __tablename__ = "ends"
    token_id: Mapped[int] = mapped_column(ForeignKey("tokens.token_id"), primary_key=True)
    reason: Mapped[str | None]
    branch: Mapped[str | None]
    __mapper_args__ = {"polymorphic_identity": "forked"}  # noqa: RUF012


class Merged(Token):
    """One whose table older databases do not have at all."""

    __tablename__ = "merges"
    token_id: Mapped[int] = mapped_column(ForeignKey("tokens.token_id"), primary_key=True)
    into: Mapped[str | None]
    __mapper_args__ = {"polymorphic_identity": "merged"}  # noqa: RUF012


@pytest.fixture
def script() -> str:
    """Give what makes the older database."""
    return OLD + ENDS


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """Give a session of the newer program on it."""
    with attach(engine, Base.metadata), Session(engine) as session:
        yield session


def test_a_hierarchy_of_tables_is_whole(session: Session) -> None:
    """Loaded by one join, by a SELECT for each table, or when it is asked for."""
    every = with_polymorphic(Token, "*")
    by_join = select(every).order_by(every.token_id)
    by_selects = select(Token).options(selectin_polymorphic(Token, [Forked, Merged]))
    for query in (by_join, by_selects.order_by(Token.token_id), select(Token)):
        found = {token.token_id: token for token in session.scalars(query)}
        assert [type(found[number]) for number in (1, 2, 3)] == [Token, Forked, Token]
        forked = found[2]
        assert isinstance(forked, Forked)
        assert (forked.grp, forked.reason, forked.branch) == (None, "split", None)
        session.expunge_all()


def test_one_class_of_it(session: Session) -> None:
    """By its own column that is not stored; and one that nobody could be of."""
    assert session.scalars(select(Forked).where(Forked.branch.is_(None))).one().reason == "split"
    assert session.scalars(select(Merged)).all() == []


def test_a_deferred_column_that_is_not_stored(session: Session) -> None:
    """It is loaded when it is asked for, as any other."""
    run = session.get(Run, "r1")
    assert run is not None
    assert "note" not in vars(run)
    assert run.note is None


def test_entities_of_an_asynchronous_session(older: Older) -> None:
    """Loaded with others, refreshed, and bit by bit."""

    async def program() -> None:
        engine = create_async_engine(older.async_url)
        attach(engine, Base.metadata)
        async with AsyncSession(engine) as session:
            eager = select(Run).options(selectinload(Run.tokens.of_type(Token)))
            run = (await session.scalars(eager.where(Run.run_id == "r2"))).one()
            assert [(token.token_id, token.grp) for token in run.tokens] == [(3, None)]
            await session.refresh(run, ["note", "status"])
            assert run.note is None
            assert run.status == "failed"
            assert await session.get(Run, "r2") is run
            by_parts = select(Token.token_id, Token.grp).order_by(Token.token_id)
            stream = await session.stream(by_parts.execution_options(yield_per=2))
            parts = [[tuple(row) for row in part] async for part in stream.partitions()]
            assert parts == [[(1, None), (2, None)], [(3, None)]]
        await engine.dispose()

    asyncio.run(program())
