"""An asynchronous program reads an older database, by aiosqlite and by asyncpg."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable

import pytest
import sqlalchemy as sa
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from landscape_compat import WriteRefusedError, attach
from support.postgres import READER, PostgresDatabase

from .conftest import MIGRATE, OLD, Older

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")
METADATA = sa.MetaData()
TOKENS = sa.Table(
    "tokens",
    METADATA,
    sa.Column("token_id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String(8)),
    sa.Column("grp", sa.Text),
    sa.Column("a:b 50%", sa.Text),
    sa.Column("50%%", sa.Text),
)


def run(older: Older, program: Callable[[AsyncEngine], Awaitable[None]]) -> None:
    """Run a program on an engine that has the shim."""

    async def whole() -> None:
        engine = create_async_engine(older.async_url)
        attach(engine, METADATA)
        try:
            await program(engine)
        finally:
            await engine.dispose()

    asyncio.run(whole())


def test_reading_and_writing(older: Older) -> None:
    """Core and text see what is missing as NULL; a write is refused."""

    async def program(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            found = await connection.execute(select(TOKENS).order_by(TOKENS.c.token_id))
            assert [tuple(row) for row in found] == [
                (1, "plain", None, None, None),
                (2, "forked", None, None, None),
                (3, "plain", None, None, None),
            ]
            text = sa.text("SELECT count(*), count(grp) FROM tokens WHERE kind = :kind")
            assert (await connection.execute(text, {"kind": "plain"})).one() == (2, 0)
            with pytest.raises(WriteRefusedError):
                await connection.execute(TOKENS.delete())

    run(older, program)


def test_streaming_and_sessions(older: Older) -> None:
    """Bit by bit, and several at a time."""

    async def program(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            seen = [row.grp async for row in await connection.stream(select(TOKENS))]
            assert seen == [None] * 3

        async def one(number: int) -> int | None:
            async with AsyncSession(engine) as session:
                query = select(TOKENS.c.token_id).where(TOKENS.c.grp.is_(None))
                return await session.scalar(query.where(TOKENS.c.token_id == number))

        assert await asyncio.gather(*map(one, (1, 2, 3))) == [1, 2, 3]

    run(older, program)


def test_an_engine_that_is_in_use_already(older: Older, caplog: pytest.LogCaptureFixture) -> None:
    """Its pooled connections are closed where that can be awaited, before and after the shim."""

    async def program() -> None:
        engine = create_async_engine(older.async_url)
        query = select(TOKENS.c.grp)
        async with engine.connect() as connection:
            await connection.execute(select(sa.literal(1)))
        for _ in range(2):
            with attach(engine, METADATA):
                async with engine.connect() as connection:
                    assert (await connection.scalars(query)).all() == [None] * 3
            async with engine.connect() as connection:
                with pytest.raises(DBAPIError):
                    await connection.execute(query)
        await engine.dispose()

    asyncio.run(program())
    gc.collect()  # what was not closed would warn
    assert [told for told in caplog.records if told.levelno >= logging.ERROR] == []


def test_statements_are_prepared_once(postgres: PostgresDatabase) -> None:
    """For all values, in all transactions; what checks each of these, too."""
    older = Older(postgres.url(), postgres.url("asyncpg", READER), postgres=postgres)
    older.run(OLD)

    async def program(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            counts = []
            for value in range(4):
                await connection.execute(select(TOKENS).where(TOKENS.c.grp == str(value)))
                found = await connection.exec_driver_sql(
                    "SELECT statement FROM pg_prepared_statements"
                )
                prepared = found.scalars().all()
                assert len([text for text in prepared if "AS NOT MATERIALIZED" in text]) == 1
                counts.append(len(prepared))
                await connection.rollback()
            assert counts[1:] == counts[1:2] * 3

    run(older, program)


def test_a_migration_is_seen_by_the_next_transaction(postgres: PostgresDatabase) -> None:
    """Also by statements that asyncpg prepared before it."""
    older = Older(postgres.url(), postgres.url("asyncpg"), postgres=postgres)
    older.run(OLD)

    async def program(engine: AsyncEngine) -> None:
        query = select(TOKENS.c.grp).order_by(TOKENS.c.token_id)
        async with engine.connect() as connection:
            for _ in range(3):
                assert (await connection.scalars(query)).all() == [None] * 3
            await connection.commit()
            older.run(MIGRATE)
            assert (await connection.scalars(query)).all() == ["new"] * 3

    run(older, program)
