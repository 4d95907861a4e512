"""The ORM reads an older database: whole entities, whatever way they are loaded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, ForeignKey, String, func, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    column_property,
    contains_eager,
    deferred,
    joinedload,
    load_only,
    mapped_column,
    raiseload,
    relationship,
    selectinload,
    subqueryload,
    undefer,
)

from landscape_compat import UnreadableError, WriteRefusedError, attach, derived

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


class Base(DeclarativeBase):
    """The declarations of the newer program."""


class Run(Base):
    """A run, with a column that older databases lack."""

    __tablename__ = "runs"
    run_id: Mapped[str] = mapped_column(String(8), primary_key=True)
    status: Mapped[str | None]
    grade: Mapped[str | None]
    tokens: Mapped[list[Token]] = relationship(back_populates="run", order_by="Token.token_id")
    notes: Mapped[list[Note]] = relationship()


class Token(Base):
    """A token of one of two kinds, with a column that older databases lack."""

    __tablename__ = "tokens"
    token_id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    kind: Mapped[str] = mapped_column(String(8))
    secret: Mapped[str | None] = deferred(mapped_column())
    grp: Mapped[str | None]
    run: Mapped[Run] = relationship(back_populates="tokens")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "plain"}  # noqa: RUF012


class Forked(Token):
    """A token of the other kind, whose own column is in the same table."""

    branch: Mapped[str | None]
    __mapper_args__ = {"polymorphic_identity": "forked"}  # noqa: RUF012


class Note(Base):
    """Something of a table that older databases do not have at all."""

    __tablename__ = "notes"
    note_id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))


Run.token_count = column_property(
    select(func.count(Token.grp))
    .where(Token.run_id == Run.run_id)
    .correlate_except(Token)
    .scalar_subquery()
)


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """Give a session of the newer program on the older database."""
    with attach(engine, Base.metadata), Session(engine) as session:
        yield session


def test_entities_are_whole(session: Session) -> None:
    """Of each kind, with what is not stored as None; what is deferred comes when asked for."""
    first, second, third = session.scalars(select(Token).order_by(Token.token_id))
    assert (type(first), type(second), type(third)) == (Token, Forked, Token)
    assert isinstance(second, Forked)
    assert (second.grp, second.branch) == (None, None)
    assert "secret" not in vars(first)
    assert first.secret == "s1"


@pytest.mark.parametrize("load", [joinedload, selectinload, subqueryload, None])
def test_relationships_load_in_every_way(session: Session, load: object) -> None:
    """A relationship to a table that is missing has nobody in it."""
    options = [load(Run.tokens), load(Run.notes)] if callable(load) else []
    runs = session.scalars(select(Run).options(*options).order_by(Run.run_id)).unique().all()
    assert [(run.run_id, run.grade, run.token_count) for run in runs] == [  # type: ignore[attr-defined]
        ("r1", None, 0),
        ("r2", None, 0),
    ]
    assert [[token.token_id for token in run.tokens] for run in runs] == [[1, 2], [3]]
    assert [run.notes for run in runs] == [[], []]
    assert runs[0].tokens[0].run is runs[0]


def test_parts_of_entities(session: Session) -> None:
    """`load_only`, `undefer`, `raiseload`, rows of columns, and a second name for one entity."""
    parts = session.scalars(
        select(Token).options(load_only(Token.grp), undefer(Token.secret))
    ).all()
    assert {token.secret for token in parts} == {"s1", "s2", "s3"}
    strict = select(Run).options(raiseload(Run.tokens))
    assert len(session.scalars(strict).all()) == 2
    other = aliased(Token)
    pairs = select(Token.token_id, other.token_id).join(other, Token.run_id == other.run_id)
    assert len(session.execute(pairs.where(other.grp.is_(None))).all()) == 5
    eager = select(Run).join(Run.tokens).options(contains_eager(Run.tokens))
    assert len(session.scalars(eager).unique().all()) == 2


def test_filters_and_aggregates_over_what_is_not_stored(session: Session) -> None:
    """As over a column of NULLs."""
    assert session.scalar(select(func.count()).select_from(Token).where(Token.grp.is_(None))) == 3
    assert session.scalars(select(Token).filter_by(grp="x")).all() == []
    grouped = select(Token.grp, func.count()).group_by(Token.grp)
    assert session.execute(grouped).all() == [(None, 3)]
    assert session.scalars(select(Forked).where(Forked.branch.is_(None))).one().token_id == 2


def test_the_identity_map_and_refreshing(session: Session) -> None:
    """One object for one row, also after it was expired."""
    token = session.get(Token, 1)
    assert token is not None
    assert session.get(Token, 1) is token
    session.expire(token)
    assert token.grp is None
    session.refresh(token, ["grp", "kind"])
    assert session.scalars(select(Token).where(Token.token_id == 1)).one() is token


def test_yield_per_reads_bit_by_bit(session: Session) -> None:
    """With the prelude in front of each part."""
    found = session.scalars(select(Token).order_by(Token.token_id).execution_options(yield_per=2))
    assert [[token.token_id for token in part] for part in found.partitions()] == [[1, 2], [3]]


def test_flushing_is_refused(session: Session) -> None:
    """Changes stay in the session, and the database as it was."""
    token = session.get(Token, 1)
    assert token is not None
    token.grp = "changed"
    with pytest.raises(WriteRefusedError, match="UPDATE was refused"):
        session.flush()
    session.rollback()
    session.add(Run(run_id="new"))
    with pytest.raises(WriteRefusedError, match="INSERT was refused"):
        session.commit()


def test_rules_give_entities_their_values(engine: Engine) -> None:
    """And relationships that go by a derived key find whom they belong to."""
    rule = derived("tokens.grp", func.upper(Token.__table__.c.kind))
    with attach(engine, Base.metadata, rules=[rule]), Session(engine) as session:
        assert [t.grp for t in session.scalars(select(Token).order_by(Token.token_id))] == [
            "PLAIN",
            "FORKED",
            "PLAIN",
        ]
        assert session.scalar(select(Run.token_count).where(Run.run_id == "r1")) == 2  # type: ignore[attr-defined]


def test_an_entity_without_its_key_is_refused(engine: Engine) -> None:
    """The ORM would drop such rows without a word."""

    class Other(DeclarativeBase):
        pass

    class Keyed(Other):
        __tablename__ = "tokens"
        new_id: Mapped[int] = mapped_column(primary_key=True)

    with (
        attach(engine, Other.metadata),
        Session(engine) as session,
        pytest.raises(UnreadableError, match="primary key"),
    ):
        session.scalars(select(Keyed)).all()
