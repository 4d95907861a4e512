"""Nothing is written to a degraded MariaDB: three locks, each of which holds without the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from landscape_compat import UnreadableError, WriteRefusedError, attach
from landscape_compat.errors import LandscapeCompatError
from support.mariadb import MariaDatabase

from .conftest import METADATA, OLD

FUNCTIONS = (
    "CREATE FUNCTION writes() RETURNS int MODIFIES SQL DATA "
    "BEGIN INSERT INTO tokens VALUES (99, 'x'); RETURN 1; END",
    "CREATE FUNCTION undoes() RETURNS int BEGIN SET SESSION tx_read_only = 0; RETURN 1; END",
    "CREATE PROCEDURE rewrites() "
    "BEGIN START TRANSACTION READ WRITE; DELETE FROM tokens; COMMIT; END",
)


@pytest.fixture
def connection(maria: MariaDatabase, engine: Engine) -> Iterator[Connection]:
    """Give a connection to a degraded database, and see that this is left as it was."""
    maria.run(OLD)
    maria.run("CREATE TABLE plain (a int); INSERT INTO plain VALUES (1); CREATE SEQUENCE numbers")
    for function in FUNCTIONS:
        maria.run(function)
    before = maria.content()
    with attach(engine, METADATA), engine.connect() as connection:
        yield connection
    assert maria.content() == before


# None of them names a table that is degraded, so that nothing but the lock stops them.
WRITES = """
INSERT INTO plain VALUES (2)
REPLACE INTO plain VALUES (2)
UPDATE plain SET a = 2
DELETE FROM plain
WITH x AS (SELECT 1) DELETE FROM plain
TRUNCATE plain
LOAD DATA INFILE '/etc/hostname' INTO TABLE plain
SELECT 1 INTO OUTFILE '/dev/shm/lc-never-written'
SELECT 1 INTO DUMPFILE '/dev/shm/lc-never-written'
(SELECT 1) INTO @x
SELECT a INTO @x FROM plain
SELECT @x := 1
SELECT (@x:=a) FROM plain
SELECT a FROM plain FOR UPDATE
SELECT a FROM plain WHERE a = 1 FOR UPDATE SKIP LOCKED
SELECT a FROM plain LOCK IN SHARE MODE
(SELECT a FROM plain LIMIT 1 FOR UPDATE)
CREATE TABLE more (a int)
CREATE TEMPORARY TABLE tokens (a int)
CREATE OR REPLACE VIEW v AS SELECT 1
DROP TEMPORARY TABLE IF EXISTS tokens
DROP TABLE plain
ALTER TABLE plain ADD COLUMN b int
RENAME TABLE plain TO other
LOCK TABLES plain WRITE
UNLOCK TABLES
HANDLER plain OPEN
CALL rewrites()
DO writes()
EXECUTE IMMEDIATE 'DELETE FROM plain'
PREPARE x FROM 'DELETE FROM plain'
EXECUTE x
DEALLOCATE PREPARE x
BEGIN
BEGIN NOT ATOMIC DELETE FROM plain; END
START TRANSACTION
START TRANSACTION READ WRITE
START TRANSACTION WITH CONSISTENT SNAPSHOT, READ WRITE
COMMIT
COMMIT AND CHAIN
ROLLBACK
ROLLBACK AND CHAIN
ROLLBACK WORK
XA START 'x'
SET TRANSACTION READ WRITE
SET SESSION TRANSACTION READ WRITE
SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED
SET tx_read_only = 0
SET @@tx_read_only = 0
SET @@session.tx_read_only = 0
SET SESSION tx_read_only = 0
SET time_zone = '+00:00', tx_read_only = 0
SET time_zone = (SELECT 1)
SET time_zone = @x := '+00:00'
SHOW TABLES WHERE @x := 1
SHOW TABLES WHERE EXISTS (SELECT a FROM plain FOR UPDATE)
SET `tx_read_only` = 0
SET sql_mode = 'ANSI_QUOTES'
SET @@sql_mode = 'ANSI_QUOTES'
SET autocommit = 1
SET NAMES gbk
SET CHARACTER SET latin1
SET character_set_client = gbk
SET GLOBAL max_connections = 10
SET GLOBAL time_zone = '+00:00'
SET @x = 1
SET 5 = 1
SET sort_buffer_size = 1 + 1
SET ROLE NONE
SET PASSWORD = ''
SET STATEMENT tx_read_only = 0 FOR SELECT writes()
SET STATEMENT sql_mode = 'ANSI_QUOTES' FOR SELECT 1
USE mysql
ANALYZE TABLE plain
OPTIMIZE TABLE plain
CHECK TABLE plain
REPAIR TABLE plain
CHECKSUM TABLE plain
FLUSH TABLES
RESET QUERY CACHE
KILL 0
PURGE BINARY LOGS TO 'x'
INSTALL SONAME 'x'
SHUTDOWN
GRANT SELECT ON *.* TO somebody
CREATE USER somebody
EXPLAIN DELETE FROM plain
EXPLAIN ANALYZE DELETE FROM plain
ANALYZE DELETE FROM plain
ANALYZE FORMAT=JSON UPDATE plain SET a = 2
DESCRIBE DELETE FROM plain
EXPLAIN FOR CONNECTION 1
BACKUP STAGE START
SET SESSION max_statement_time = NOTHING
IF 1 THEN DELETE FROM plain; END IF
x: LOOP DELETE FROM plain; END LOOP
HELP 'x'
/* c */ # d
DELETE FROM plain
-- c
DELETE FROM plain
;;DELETE FROM plain
(DELETE FROM plain)
"""
HOSTILE = [text for text in WRITES.strip().replace("# d\n", "# d\\n").split("\n") if text != "-- c"]


@pytest.mark.parametrize("text", [text.replace("\\n", "\n") for text in HOSTILE])
def test_the_first_lock_is_the_statements_text(connection: Connection, text: str) -> None:
    """It is refused before anything is sent, by a typed error."""
    with pytest.raises((WriteRefusedError, UnreadableError)) as told:
        connection.exec_driver_sql(text)
    assert told.value.remedy
    assert connection.exec_driver_sql("SELECT count(grp) FROM tokens").scalar() == 0


@pytest.mark.parametrize(
    "text",
    [
        "/*! DELETE FROM plain */",
        "SELECT 1 /*! INTO OUTFILE '/dev/shm/lc-never-written' */",
        "SELECT 1 /*!50000 INTO @x */",
        "SELECT 1 /*M!100100 INTO @x */",
        "/*!40000 SELECT */ 1",
        "SELECT grp FROM /*! tokens */",
        "/*!99999 nothing */ SELECT 1",
        "SELECT 1 /* plain */ /*! INTO @x */ /* plain */",
        "SELECT 1; DELETE FROM plain",
        "SELECT 1;; SELECT 2",
    ],
)
def test_what_is_executed_within_a_comment_or_behind_a_statement(
    connection: Connection, text: str
) -> None:
    """Is refused by name, also at the ends of a text, where comments are taken off."""
    with pytest.raises(LandscapeCompatError):
        connection.exec_driver_sql(text)


@pytest.mark.parametrize(
    "text",
    [
        "SHOW TABLES",
        "SHOW CREATE TABLE tokens",
        "SHOW FULL COLUMNS FROM tokens",
        "DESCRIBE tokens",
        "EXPLAIN tokens",
        "EXPLAIN EXTENDED SELECT grp FROM tokens",
        "ANALYZE FORMAT=JSON SELECT grp FROM tokens",
        "EXPLAIN FORMAT = JSON SELECT grp FROM tokens",
        "EXPLAIN (SELECT grp FROM tokens)",
        "SET time_zone = '+01:00'",
        "SET SESSION max_statement_time = 5, lock_wait_timeout = 5",
        "SET SESSION max_statement_time = DEFAULT",
        "SET NAMES utf8mb4",
        "SELECT @@version, @nothing, grp FROM tokens",
        "SELECT REPLACE(name, 'a', 'b'), INSERT(name, 1, 1, 'x'), grp FROM tokens",
        "SELECT grp FROM tokens USE INDEX FOR ORDER BY (PRIMARY) IGNORE INDEX (PRIMARY), plain",
        "VALUES (1), (2)",
        "(SELECT grp FROM tokens) UNION (SELECT a FROM plain) LIMIT 1",
        "SELECT grp, count(*) FROM tokens GROUP BY grp WITH ROLLUP",
    ],
)
def test_what_only_reads_is_not_refused(connection: Connection, text: str) -> None:
    """Nor is what tells of the connection, or of what is stored."""
    connection.exec_driver_sql(text)


@pytest.mark.parametrize("text", ["SELECT writes()", "SELECT nextval(numbers)"])
def test_the_second_lock_is_the_transaction(connection: Connection, text: str) -> None:
    """It stops what no text shows, and holds where the session was told to write."""
    connection.exec_driver_sql("SELECT undoes(), @@session.tx_read_only")
    with pytest.raises(WriteRefusedError, match="only read"):
        connection.exec_driver_sql(text)
    raw = connection.connection.cursor()
    with pytest.raises(Exception, match="READ ONLY transaction"):
        raw.execute("DELETE FROM plain")


def test_the_third_lock_is_the_session(connection: Connection, engine: Engine) -> None:
    """It stops what goes past the engine, where no transaction was begun by us."""
    raw = engine.raw_connection()
    for text in ("DELETE FROM plain", "CREATE TABLE more (a int)", "SELECT writes()"):
        with pytest.raises(Exception, match="READ ONLY transaction"):
            raw.cursor().execute(text)
    raw.close()


def test_a_session_that_was_told_to_write_is_told_to_read_again(connection: Connection) -> None:
    """Before the next transaction sends anything."""
    connection.exec_driver_sql("SELECT undoes()")
    connection.rollback()
    assert connection.exec_driver_sql("SELECT @@session.tx_read_only").scalar() == 1
    with pytest.raises(WriteRefusedError):
        connection.exec_driver_sql("SELECT writes()")


def test_a_session_that_reads_texts_otherwise_is_refused(connection: Connection) -> None:
    """Somebody may do that past the engine; the next transaction sees it."""
    connection.exec_driver_sql("SELECT grp FROM tokens")
    connection.rollback()
    connection.connection.cursor().execute("SET sql_mode = 'ANSI_QUOTES'")
    with pytest.raises(LandscapeCompatError, match="ANSI_QUOTES"):
        connection.exec_driver_sql('SELECT "grp" FROM "tokens"')


@pytest.mark.parametrize("level", ["AUTOCOMMIT", "READ COMMITTED", "SERIALIZABLE"])
def test_other_levels_of_isolation_read_only_as_well(connection: Connection, level: str) -> None:
    """Whatever a program asks for."""
    options: dict[str, Any] = {"isolation_level": level}
    connection = connection.execution_options(**options)
    assert connection.exec_driver_sql("SELECT count(*), max(grp) FROM tokens").all() == [(3, None)]
    for text in ("DELETE FROM plain", "SELECT writes()"):
        with pytest.raises((WriteRefusedError, SQLAlchemyError)):
            connection.exec_driver_sql(text)
    level = connection.exec_driver_sql("SELECT @@session.tx_isolation").scalar_one()
    assert level == "REPEATABLE-READ"
