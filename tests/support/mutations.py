"""Damage databases as disks, crashes and people do: bytes, pages, schemas, values, sidecars."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

__all__ = ["MUTATIONS", "mutate"]

Mutation = Callable[[Path, random.Random], None]


def mutate(path: Path, seed: int) -> str:
    """Do one kind of damage to a database, or two.

    Args:
        path: The database, closed.
        seed: What decides the damage.

    Returns:
        What was done.
    """
    rng = random.Random(seed)
    names = rng.sample(sorted(MUTATIONS), rng.choice((1, 1, 1, 2)))
    for name in names:
        # What follows damage may find nothing to damage any more.
        with suppress(sqlite3.Error, ValueError, IndexError):
            MUTATIONS[name](path, rng)
    return " + ".join(names)


# Bytes and pages ------------------------------------------------------------------------------


def _write(path: Path, offset: int, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    os.pwrite(descriptor, data, offset)
    os.close(descriptor)


def _page_size(path: Path) -> int:
    size = int.from_bytes(path.read_bytes()[16:18], "big")
    return size if size in (512, 1024, 2048, 4096, 8192) else 4096


def _flip_bits(path: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    for _ in range(rng.choice((1, 1, 3, 30))):
        offset = rng.randrange(len(data))
        _write(path, offset, bytes([data[offset] ^ (1 << rng.randrange(8))]))


def _header(path: Path, rng: random.Random) -> None:
    _write(path, rng.randrange(100), bytes([rng.randrange(256)]))


def _first_page(path: Path, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 8)):
        _write(path, rng.randrange(100, _page_size(path)), bytes([rng.randrange(256)]))


def _page_heads(path: Path, rng: random.Random) -> None:
    size = _page_size(path)
    pages = max(2, path.stat().st_size // size)
    for _ in range(rng.randint(1, 4)):
        _write(path, rng.randrange(1, pages) * size + rng.randrange(24), rng.randbytes(1))


def _overwrite_page(path: Path, rng: random.Random) -> None:
    size = _page_size(path)
    pages = max(2, path.stat().st_size // size)
    data = path.read_bytes()
    other = rng.randrange(pages) * size
    copied = data[other : other + size]
    fill = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size), copied))
    _write(path, rng.randrange(1, pages) * size, fill)


def _cut(path: Path, rng: random.Random) -> None:
    size = path.stat().st_size
    kept = rng.choice((rng.randrange(size), rng.randrange(size // 512) * 512, rng.randrange(200)))
    os.truncate(path, kept)


def _lengthen(path: Path, rng: random.Random) -> None:
    with path.open("ab") as file:
        file.write(rng.randbytes(rng.choice((1, 100, 4096, 10_000))))


# The schema -----------------------------------------------------------------------------------


def _editing(path: Path) -> closing[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA writable_schema = ON")
    return closing(connection)


def _objects(connection: sqlite3.Connection) -> list[tuple[int, str, str, str, int, str | None]]:
    return connection.execute(
        "SELECT rowid, type, name, tbl_name, rootpage, sql FROM sqlite_master"
    ).fetchall()


def _schema_text(path: Path, rng: random.Random) -> None:
    with _editing(path) as connection:
        rowid, *_, sql = rng.choice([row for row in _objects(connection) if row[5]])
        text = list(str(sql))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(text))
            text[at] = rng.choice(["", "--", "/*", *"x'\"(),;\0é\n"])
        connection.execute(
            "UPDATE sqlite_master SET sql = ? WHERE rowid = ?", ("".join(text), rowid)
        )


def _schema_columns(path: Path, rng: random.Random) -> None:
    old, new = rng.choice(
        [
            ("VARCHAR", "BLOB"), ("INTEGER", "TEXT"), ("run_id", "ran_id"), ("NOT NULL", ""),
            ("token_id", "row_id"), ("PRIMARY KEY", "UNIQUE"), ("CREATE TABLE", "CREATE VIEW"),
            ("CREATE TABLE", "CREATE VIRTUAL TABLE"), (")", ") WITHOUT ROWID"), (")", ") STRICT"),
        ]
    )  # fmt: skip
    with _editing(path) as connection:
        rowid, *_, sql = rng.choice([row for row in _objects(connection) if row[5]])
        connection.execute(
            "UPDATE sqlite_master SET sql = ? WHERE rowid = ?", (str(sql).replace(old, new), rowid)
        )


def _root_pages(path: Path, rng: random.Random) -> None:
    with _editing(path) as connection:
        rows = _objects(connection)
        root = rng.choice((0, 1, -1, 2, 999_999, 1 << 40, *(row[4] for row in rows)))
        connection.execute(
            "UPDATE sqlite_master SET rootpage = ? WHERE rowid = ?", (root, rng.choice(rows)[0])
        )


def _schema_rows(path: Path, rng: random.Random) -> None:
    with _editing(path) as connection:
        rowid = rng.choice(_objects(connection))[0]
        statement, value = rng.choice(
            [
                ("DELETE FROM sqlite_master WHERE rowid = ?2 OR ?1 = 0", None),
                ("UPDATE sqlite_master SET type = ?1 WHERE rowid = ?2", "view"),
                ("UPDATE sqlite_master SET type = ?1 WHERE rowid = ?2", "no kind"),
                ("UPDATE sqlite_master SET name = ?1 WHERE rowid = ?2", b"\xff\xfe"),
                ("UPDATE sqlite_master SET name = ?1 WHERE rowid = ?2", "runs"),
                ("UPDATE sqlite_master SET name = ?1 WHERE rowid = ?2", 7),
                ("UPDATE sqlite_master SET name = CAST(?1 AS TEXT) WHERE rowid = ?2", b"\xff"),
                ("UPDATE sqlite_master SET sql = CAST(?1 AS TEXT) WHERE rowid = ?2", b"\xff\0"),
                ("UPDATE sqlite_master SET sql = ?1 WHERE rowid = ?2", None),
                ("UPDATE sqlite_master SET sql = ?1 WHERE rowid = ?2", "x" * 100_000),
            ]
        )
        connection.execute(statement, (value, rowid))


_POSING = (
    "CREATE VIEW {name} AS SELECT * FROM {real}",
    "CREATE VIEW {name} AS SELECT load_extension('/nowhere.so') AS run_id",
    "CREATE VIEW {name} AS SELECT fts3_tokenizer('simple') AS run_id",
    "CREATE VIEW {name} AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    " SELECT i AS run_id FROM n",
    "CREATE VIEW {name} AS SELECT zeroblob(900000000) AS run_id",
    "CREATE VIEW {name} AS SELECT * FROM {name}",
    "CREATE VIRTUAL TABLE {name} USING fts5(run_id, row_id)",
    "CREATE TABLE {name} (run_id TEXT, row_id AS (upper(run_id)), x AS (random()) STORED)",
    "CREATE TABLE {name} AS SELECT * FROM {real} LIMIT 2",
    "CREATE TRIGGER x AFTER INSERT ON {real} BEGIN DELETE FROM {real}; END",
)


def _posing(path: Path, rng: random.Random) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        tables = [row[2] for row in _objects(connection) if row[1] == "table"]
        name = rng.choice(tables)
        connection.execute("PRAGMA legacy_alter_table = ON")
        connection.execute(f'ALTER TABLE "{name}" RENAME TO "former"')
        connection.execute(rng.choice(_POSING).format(name=f'"{name}"', real="former"))


def _odd_names(path: Path, rng: random.Random) -> None:
    names = ['a"b', "a;b", "a\nb", "100%s", ":x", "🙂", "\u202ebd", "select", "", "a'b", "x" * 2000]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for name in rng.sample(names, 3):
            quoted = '"' + name.replace('"', '""') + '"'
            connection.execute(f"CREATE TABLE {quoted} ({quoted} TEXT, run_id TEXT)")
            connection.execute(f"INSERT INTO {quoted} VALUES (?, ?)", (name, name))


# Values ---------------------------------------------------------------------------------------


def _values(path: Path, rng: random.Random) -> None:
    odd = [
        None, 0, -1, 1 << 62, 1.5, float("inf"), float("-inf"), "", "x", "NULL", "nul\0inside",
        "0000-00-00", "2026-13-45 99:99:99", "true", b"", b"\xff\xfe", rng.randbytes(300),
        "\ud83d".encode("utf-8", "surrogatepass"), "long " * 20_000, "{", "🙂", "\x1b[31m",
    ]  # fmt: skip
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        tables = [row[2] for row in _objects(connection) if row[1] == "table"]
        for _ in range(rng.randint(1, 5)):
            table = rng.choice(tables).replace('"', '""')
            columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
            column = rng.choice(columns).replace('"', '""')
            value = rng.choice(odd)
            text = isinstance(value, bytes) and rng.random() < 0.5
            given = "CAST(? AS TEXT)" if text else "?"
            with suppress(sqlite3.IntegrityError):
                connection.execute(
                    f'UPDATE "{table}" SET "{column}" = {given} WHERE rowid = '
                    f'(SELECT rowid FROM "{table}" ORDER BY rowid LIMIT 1 OFFSET ?)',
                    (value, rng.randrange(6)),
                )


def _loose_ends(path: Path, rng: random.Random) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        tables = [row[2] for row in _objects(connection) if row[1] == "table"]
        table = rng.choice(tables).replace('"', '""')
        connection.execute(f'DELETE FROM "{table}" WHERE rowid % ? = 0', (rng.randint(1, 3),))


# What lies beside it --------------------------------------------------------------------------


def _sidecar(path: Path, rng: random.Random) -> None:
    suffix = rng.choice(("-wal", "-shm", "-journal"))
    fill = rng.choice((b"", b"\0" * 4096, rng.randbytes(5000), b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"))
    Path(f"{path}{suffix}").write_bytes(fill)


def _damaged_wal(path: Path, rng: random.Random) -> None:
    copy = path.with_name("writing.db")
    copy.write_bytes(path.read_bytes())
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("CREATE TABLE IF NOT EXISTS waiting (run_id TEXT, n INTEGER)")
        for number in range(rng.randint(1, 9)):
            connection.execute("INSERT INTO waiting VALUES ('waits', ?)", (number,))
        frames = bytearray(Path(f"{copy}-wal").read_bytes())
        path.write_bytes(copy.read_bytes())
    copy.unlink()
    if rng.random() < 0.7:
        for _ in range(rng.randint(1, 5)):
            frames[rng.randrange(len(frames))] ^= 1 << rng.randrange(8)
    if rng.random() < 0.3:
        del frames[rng.randrange(len(frames)) :]
    Path(f"{path}-wal").write_bytes(bytes(frames))


MUTATIONS: dict[str, Mutation] = {
    function.__name__.strip("_"): function
    for function in (
        *(_flip_bits, _header, _first_page, _page_heads, _overwrite_page, _cut, _lengthen),
        *(_schema_text, _schema_columns, _root_pages, _schema_rows, _posing, _odd_names),
        *(_values, _loose_ends, _sidecar, _damaged_wal),
    )
}
