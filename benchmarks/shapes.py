"""Shapes of queries over a degraded database, from the simplest to those that hurt.

`tokens` lacks `expand_group_id`, which reads as NULL, and `run_id`, which is derived by way of the
row; `node_states` lacks `run_id`, which is derived by way of the token and its row;
`token_outcomes` is missing.
"""

from __future__ import annotations

__all__ = ["SHAPES"]

_KEYS = ", ".join(f"'token{number:06d}'" for number in range(0, 1000, 2))
_BOTH = "tokens AS t JOIN node_states AS s ON s.token_id = t.token_id"
_TWICE = "SELECT token_id, row_id FROM tokens"

SHAPES: dict[str, str] = {
    "by primary key": "SELECT token_id, expand_group_id FROM tokens WHERE token_id = 'token000100'",
    "by an indexed column": "SELECT token_id, run_id FROM tokens WHERE row_id = 'row000100'",
    "500 keys": f"SELECT token_id, expand_group_id FROM tokens WHERE token_id IN ({_KEYS})",
    "500 keys, derived column shown": "SELECT token_id, run_id FROM tokens"
    f" WHERE token_id IN ({_KEYS})",
    "count of all": "SELECT count(*) FROM tokens",
    "missing column is NULL": "SELECT count(*) FROM tokens WHERE expand_group_id IS NULL",
    "missing column filtered": "SELECT count(*) FROM tokens WHERE expand_group_id = 'x'",
    "missing column in a list": "SELECT count(*) FROM tokens WHERE expand_group_id IN ('x', 'y')",
    "derived column filtered, count": "SELECT count(*) FROM tokens WHERE run_id = 'run3'",
    "derived column filtered, list": "SELECT token_id, step FROM tokens WHERE run_id = 'run3'",
    "derived column and primary key": "SELECT 1 FROM tokens WHERE run_id = 'run0'"
    " AND token_id = 'token000100'",
    "derived column and key": "SELECT 1 FROM tokens WHERE run_id = 'run0' AND row_id = 'row000100'",
    "derived in two steps, count": "SELECT count(*) FROM node_states WHERE run_id = 'run3'",
    "derived in two steps, and a status": "SELECT state_id FROM node_states"
    " WHERE run_id = 'run3' AND status = 'failed'",
    "derived in two steps, by token": "SELECT state_id, run_id FROM node_states"
    " WHERE token_id = 'token000100'",
    "outer join": "SELECT count(t.token_id) FROM rows AS r LEFT JOIN tokens AS t"
    " ON t.row_id = r.row_id WHERE r.row_index < 100",
    "outer join, derived column shown": "SELECT r.row_id, t.run_id FROM rows AS r"
    " LEFT JOIN tokens AS t ON t.row_id = r.row_id WHERE r.row_index < 100",
    "outer join, derived column in ON": "SELECT count(t.token_id) FROM rows AS r LEFT JOIN tokens"
    " AS t ON t.row_id = r.row_id AND t.run_id = r.run_id WHERE r.row_index < 100",
    "outer join of two degraded tables": "SELECT t.token_id, s.run_id FROM tokens AS t LEFT JOIN"
    " node_states AS s ON s.token_id = t.token_id WHERE t.token_id = 'token000100'",
    "outer join of two, derived column filtered": "SELECT count(s.state_id) FROM tokens AS t"
    " LEFT JOIN node_states AS s ON s.token_id = t.token_id WHERE t.run_id = 'run3'",
    "two outer joins": "SELECT r.row_id, t.expand_group_id, s.state_id FROM rows AS r"
    " LEFT JOIN tokens AS t ON t.row_id = r.row_id"
    " LEFT JOIN node_states AS s ON s.token_id = t.token_id WHERE r.row_id = 'row000100'",
    "three tables of one run": "SELECT count(*) FROM rows AS r JOIN tokens AS t"
    " ON t.row_id = r.row_id JOIN node_states AS s ON s.token_id = t.token_id"
    " WHERE r.run_id = 'run3'",
    "a join in parentheses": f"SELECT count(*) FROM rows AS r JOIN ({_BOTH})"
    " ON t.row_id = r.row_id WHERE r.run_id = 'run3'",
    "inner join on the derived column": "SELECT count(*) FROM tokens AS t JOIN rows AS r"
    " ON r.row_id = t.row_id AND r.run_id = t.run_id WHERE t.run_id = 'run3'",
    "inner join of two derived columns": f"SELECT count(*) FROM {_BOTH}"
    " AND s.run_id = t.run_id WHERE t.run_id = 'run3'",
    "used twice": "SELECT count(*) FROM tokens AS a JOIN tokens AS b ON b.row_id = a.row_id"
    " WHERE a.token_id < 'token000100'",
    "used twice, in subqueries": "SELECT (SELECT step FROM tokens WHERE token_id = 'token000100'),"
    " (SELECT expand_group_id FROM tokens WHERE token_id = 'token000200')",
    "distinct keys": "SELECT DISTINCT row_id FROM tokens LIMIT 10",
    "distinct in a joined subquery": "SELECT count(*) FROM (SELECT DISTINCT row_id FROM tokens)"
    " AS d JOIN rows AS r ON r.row_id = d.row_id",
    "grouped by a key": "SELECT row_id, count(*) FROM tokens GROUP BY row_id LIMIT 10",
    "greatest key": "SELECT max(token_id) FROM tokens",
    "UNION ALL, filtered outside": f"SELECT * FROM ({_TWICE} UNION ALL {_TWICE}) AS u"
    " WHERE u.token_id = 'token000100'",
    "UNION": f"{_TWICE} WHERE token_id = 'token000100' UNION {_TWICE} WHERE row_id = 'row000200'",
    "EXCEPT": f"{_TWICE} EXCEPT {_TWICE} WHERE step = 3",
    "page by key": "SELECT token_id, run_id FROM tokens ORDER BY token_id LIMIT 50 OFFSET 1000",
    "page by a stored column": "SELECT token_id, expand_group_id FROM tokens"
    " ORDER BY created_at LIMIT 50",
    "ordered by the missing column": "SELECT token_id FROM tokens"
    " ORDER BY expand_group_id, token_id LIMIT 50",
    "limited subquery": "SELECT u.token_id, u.run_id FROM (SELECT token_id, run_id FROM tokens"
    " ORDER BY token_id LIMIT 100) AS u WHERE u.run_id = 'run3'",
    "limited subquery, joined": "SELECT u.token_id, r.row_index FROM (SELECT token_id, row_id"
    " FROM tokens ORDER BY token_id LIMIT 10) AS u LEFT JOIN rows AS r ON r.row_id = u.row_id",
    "window over one row's": "SELECT token_id, row_number() OVER (ORDER BY token_id), run_id"
    " FROM tokens WHERE row_id = 'row000100'",
    "in a subquery": "SELECT count(*) FROM rows WHERE row_id IN (SELECT row_id FROM tokens"
    " WHERE step = 3)",
    "EXISTS": "SELECT count(*) FROM rows AS r WHERE EXISTS (SELECT 1 FROM tokens AS t"
    " WHERE t.row_id = r.row_id AND t.step = 3)",
    "NOT EXISTS on the missing column": "SELECT count(*) FROM rows AS r WHERE NOT EXISTS"
    " (SELECT 1 FROM tokens AS t WHERE t.expand_group_id = r.run_id) AND r.row_index < 100",
    "inner join on the missing column": "SELECT count(*) FROM rows AS r JOIN tokens AS t"
    " ON t.expand_group_id = r.run_id",
    "correlated count": "SELECT r.row_id, (SELECT count(*) FROM tokens AS t"
    " WHERE t.row_id = r.row_id) FROM rows AS r WHERE r.row_index < 100",
    "missing table, outer join": "SELECT t.token_id, o.outcome_id FROM tokens AS t"
    " LEFT JOIN token_outcomes AS o ON o.token_id = t.token_id WHERE t.row_id < 'row000100'",
    "missing table, NOT EXISTS": "SELECT count(*) FROM tokens AS t WHERE NOT EXISTS"
    " (SELECT 1 FROM token_outcomes AS o WHERE o.token_id = t.token_id)",
    "all rows": "SELECT * FROM tokens",
    "all rows, in order": "SELECT * FROM node_states ORDER BY token_id",
    "a table expression, used twice": "WITH x AS (SELECT token_id, row_id FROM tokens)"
    " SELECT a.token_id FROM x AS a JOIN x AS b ON b.row_id = a.row_id"
    " WHERE a.token_id = 'token000100'",
    "right join": "SELECT count(*) FROM tokens AS t RIGHT JOIN rows AS r ON r.row_id = t.row_id",
    "full join": "SELECT count(*) FROM tokens AS t FULL JOIN rows AS r ON r.row_id = t.row_id",
    # Where the copy answers from an index of the column, which cannot be here.
    "distinct missing column": "SELECT DISTINCT expand_group_id FROM tokens",
    "distinct derived column": "SELECT DISTINCT run_id FROM tokens",
    "grouped by the missing column": "SELECT expand_group_id, count(*) FROM tokens GROUP BY 1",
    "grouped by the derived column": "SELECT run_id, count(*) FROM tokens GROUP BY run_id",
    "ordered by the derived column": "SELECT token_id FROM tokens ORDER BY run_id, token_id"
    " LIMIT 50",
    "greatest of the missing column": "SELECT max(expand_group_id) FROM tokens",
    "outer join on the missing column alone": "SELECT count(t.token_id) FROM rows AS r LEFT JOIN"
    " tokens AS t ON t.expand_group_id = r.run_id WHERE r.row_index < 3",
}
