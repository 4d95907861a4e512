"""A program that forks: `python forking.py URL` prints what it and its child read, as JSON.

In a process of its own: in that of the tests, libraries have threads, and a fork of it may find a
lock held by one that it does not have.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import warnings
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine, create_engine, select

from landscape_compat import attach

METADATA = sa.MetaData()
TOKENS = sa.Table(
    "tokens",
    METADATA,
    sa.Column("token_id", sa.Integer, primary_key=True),
    sa.Column("grp", sa.Text),
)
QUERY = select(TOKENS).order_by(TOKENS.c.token_id)


def read(engine: Engine) -> list[Any]:
    """Read all tokens."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(QUERY)]


def _in_a_fork(engine: Engine, answers: Any) -> None:
    # What SQLAlchemy asks of a program that forks.
    engine.dispose(close=False)
    answers.put(read(engine))


def main(url: str) -> None:
    """Read before, in, and after a fork."""
    warnings.simplefilter("ignore")
    engine = create_engine(url)
    with attach(engine, METADATA):
        found = [read(engine)]
        context = multiprocessing.get_context("fork")
        answers = context.Queue()
        child = context.Process(target=_in_a_fork, args=(engine, answers))
        child.start()
        found.append(answers.get(timeout=60))
        child.join()
        found.append(read(engine))
    engine.dispose()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
