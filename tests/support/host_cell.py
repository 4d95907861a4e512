"""One row of the matrix: a checkout of the host reads databases, each in a process of its own.

`host_matrix.py` starts this under the checkout's own interpreter, with a file that names the
databases. The host is imported once, with the shim installed before if that is asked for; each
database is then read by a fork of that process, as the host's own callers open it: exporter,
lineage, `explain`, MCP analyser, TUI. The host is called by name only, with the arguments that
its signatures have at that version.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import inspect
import json
import os
import shutil
import signal
import sqlite3
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

TERMINAL = {"completed", "completed_with_failures", "empty"}
SECONDS = 1800
SAMPLES = {
    "run_id": "SELECT run_id FROM runs",
    "token_id": "SELECT token_id FROM tokens",
    "parent_token_id": "SELECT parent_token_id FROM token_parents",
    "row_id": "SELECT row_id FROM rows",
    "state_id": "SELECT state_id FROM node_states",
    "node_id": "SELECT node_id FROM nodes",
    "operation_id": "SELECT operation_id FROM operations",
    "effect_id": "SELECT effect_id FROM sink_effects",
    "sql": "SELECT 'SELECT run_id, status FROM runs'",
    "field_name": "SELECT 'id'",
}


def main(jobs: Path) -> None:
    """Read every database that a job file names, one fork each."""
    work = json.loads(jobs.read_text())
    failure = None
    try:
        if work["shim"]:
            # As `landscape-compat run` does, so that standard output is the host's alone.
            importlib.import_module("landscape_compat.cli.talk").set_up_logging(quiet=False)
            importlib.import_module("landscape_compat.cli.run")._hand_over_logging()
            importlib.import_module("landscape_compat").install()
        importlib.import_module("elspeth.core.landscape.exporter")
        importlib.import_module("elspeth.cli")
        warm_up(work["shim"])
    except Exception as error:
        failure = told(error)
    # What is imported lives on: no fork is to look through it for garbage.
    gc.freeze()
    for number, database in enumerate(map(Path, work["databases"])):
        answer = Path(work["results"]) / answer_name(database)
        if answer.exists():
            continue
        scratch = Path(work["scratch"]) / str(number)
        result = json.dumps(cell(database, scratch, failure))
        answer.write_text(result.replace(f"{scratch}/", ""))
        shutil.rmtree(scratch)


def answer_name(database: Path) -> str:
    """Name the file that holds what became of a database."""
    return f"{database.parent.name} {database.stem}.json"


def warm_up(shimmed: bool) -> None:
    """Import, and read the history, once for all forks: it takes longer than most cells."""
    names = ["lineage", "factory", "recorder", "export_read_model"]
    for name in (
        *(f"elspeth.core.landscape.{name}" for name in names),
        *("elspeth.mcp.analyzer", "elspeth.mcp.server"),
        *("elspeth.tui.screens.explain_screen", "typer.testing"),
    ):
        with suppress(ModuleNotFoundError):
            importlib.import_module(name)
    if shimmed:
        importlib.import_module("landscape_compat.landscape.rules").landscape_rules()
        importlib.import_module("landscape_compat.landscape.history").known_shapes()


def cell(database: Path, scratch: Path, failure: dict[str, str] | None) -> dict[str, Any]:
    """Copy a database, read the copy in a fork, and say what became of it."""
    folder, cwd, answer = scratch / "database", scratch / "cwd", scratch / "answer.json"
    for place in (folder, cwd):
        place.mkdir(parents=True)
    copy = folder / "audit.db"
    shutil.copyfile(database, copy)
    facts, before = stored_facts(copy), state(folder)
    result: dict[str, Any] = {"runs": facts["runs"], "failure": failure}
    if failure is None:
        child = os.fork()
        if child == 0:
            read_in_fork(copy, facts, cwd, answer)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if answer.exists():
            result |= json.loads(answer.read_text())
        else:
            said = (scratch / "said").read_text(errors="replace").strip().splitlines()
            message = said[-1] if said else f"no answer within {SECONDS} seconds"
            result["failure"] = {"type": "Process", "message": f"ended with {code}: {message}"}
    after = state(folder)
    result["changed"] = before["audit.db"] != after.get("audit.db")
    result["left_behind"] = sorted(set(after) - set(before))
    result["wrote_elsewhere"] = sorted(str(path.relative_to(cwd)) for path in cwd.rglob("*"))
    return result


def state(folder: Path) -> dict[str, str]:
    """Tell the bytes and the time of every file; this process never has the database open."""
    return {
        path.name: f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mtime_ns}"
        for path in folder.iterdir()
    }


def stored_facts(database: Path) -> dict[str, Any]:
    """Read, without the host, what the host is to be asked about."""
    uri = f"file:{database}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:

        def column(sql: str) -> list[Any]:
            with suppress(sqlite3.OperationalError):
                return [row[0] for row in connection.execute(sql)]
            return []

        return {
            "runs": dict(connection.execute("SELECT run_id, status FROM runs").fetchall()),
            "tokens": dict(
                connection.execute(
                    "SELECT token_id, run_id FROM tokens JOIN rows USING (row_id)"
                    if "run_id" not in column("SELECT name FROM pragma_table_info('tokens')")
                    else "SELECT token_id, run_id FROM tokens"
                ).fetchall()
            ),
            "rows": dict(connection.execute("SELECT row_id, run_id FROM rows").fetchall()),
            "nodes": column("SELECT DISTINCT node_id FROM nodes"),
            "samples": {
                name: values[0] for name, sql in SAMPLES.items() if (values := column(sql))
            },
        }


def read_in_fork(database: Path, facts: dict[str, Any], cwd: Path, answer: Path) -> None:
    """Read a database in this process, write the answer, and end the process."""
    code = 1
    try:
        signal.alarm(SECONDS)
        said = os.open(cwd.parent / "said", os.O_CREAT | os.O_WRONLY)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.chdir(cwd)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = read(f"sqlite:///{database}", facts)
        # What a refused opening leaves open is closed as at a process's ordinary end.
        gc.collect()
        result["warnings"] = warned(caught)
        partial = answer.with_suffix(".part")
        partial.write_text(json.dumps(result, default=plain))
        partial.rename(answer)
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def read(url: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Ask every surface of the host that this version has."""
    openings: dict[str, Callable[[str, dict[str, Any]], Any]] = {
        "command": command,
        "analyser": analyser,
    }
    surfaces = {"export": export, "explain": explain, "screen": screen}
    result: dict[str, Any] = {}
    try:
        with opened(url) as db:
            for name, read_by in surfaces.items():
                result[name] = answered(read_by, db, facts)
    except Exception as error:
        result |= {name: {"error": told(error)} for name in surfaces if name not in result}
    return result | {name: answered(ask, url, facts) for name, ask in openings.items()}


def answered(surface: Callable[..., Any], *arguments: Any) -> Any:
    """Ask one surface; an error is an answer."""
    try:
        return surface(*arguments)
    except Exception as error:
        return {"error": told(error)}


def opened(url: str) -> Any:
    """Open a database as this version's own readers do."""
    kind = importlib.import_module("elspeth.core.landscape.database").LandscapeDB
    offered = inspect.signature(kind.from_url).parameters
    read_only = {"read_only": True} if "read_only" in offered else {}
    return closing(kind.from_url(url, create_tables=False, **read_only))


def export(db: Any, facts: dict[str, Any]) -> dict[str, Any]:
    """Export every run, flat and grouped; a run that is not final through a read model."""
    module = importlib.import_module("elspeth.core.landscape.exporter")
    raw = "include_raw_error_rows" in inspect.signature(module.LandscapeExporter).parameters
    options: dict[str, Any] = {"include_raw_error_rows": True} if raw else {}
    records: list[Any] = []
    fills, attached = fills_of(db), is_attached(db)
    for run_id, status in facts["runs"].items():
        exporter = module.LandscapeExporter(db, **options)
        if hasattr(exporter, "iter_unsigned_run_records") and status not in TERMINAL:
            models = importlib.import_module("elspeth.core.landscape.export_read_model")
            with models.open_export_read_transaction(db.engine) as model:
                exporter = module.LandscapeExporter(db, read_model=model, **options)
                records += exporter.iter_unsigned_run_records(run_id)
            continue
        flat = list(exporter.export_run(run_id))
        grouped = exporter.export_run_grouped(run_id)
        counts = {kind: len(members) for kind, members in grouped.items()}
        if counts != Counter(record["record_type"] for record in flat):
            raise AssertionError(f"grouped and flat export disagree: {counts}")
        if hasattr(exporter, "iter_unsigned_run_records"):
            unsigned = list(exporter.iter_unsigned_run_records(run_id))
            if len(unsigned) != sum(r["record_type"] != "manifest" for r in flat):
                raise AssertionError(f"unsigned and flat export disagree: {len(unsigned)}")
        records += flat
    found = [dict(record) for record in records]
    return {"records": found, "fills": fills, "attached": attached}


def explain(db: Any, facts: dict[str, Any]) -> dict[str, Any]:
    """Explain every token and every row by the host's lineage function."""
    function = importlib.import_module("elspeth.core.landscape.lineage").explain
    given = {
        name: value
        for name, value in readers(db).items()
        if name in inspect.signature(function).parameters
    }
    found = {
        kind: Counter(
            lineage(function, given | {"run_id": run_id, f"{kind}_id": one})
            for one, run_id in facts[f"{kind}s"].items()
        )
        for kind in ("token", "row")
    }
    return {kind: dict(counts) for kind, counts in found.items()}


def lineage(function: Callable[..., Any], arguments: dict[str, Any]) -> str:
    """Call the lineage function; an ambiguous row is an answer, as it is for the command."""
    try:
        return "none" if function(**arguments) is None else "explained"
    except ValueError as error:
        return "ambiguous" if "token" in str(error).lower() else f"refused: {first_line(error)}"


def readers(db: Any) -> dict[str, Any]:
    """Make the reading objects of this version, under the names its functions give them."""
    try:
        factory = importlib.import_module("elspeth.core.landscape.factory").RecorderFactory(db)
    except ModuleNotFoundError:
        recorder = importlib.import_module("elspeth.core.landscape.recorder")
        return {"recorder": recorder.LandscapeRecorder(db)}
    return {"query": factory.query, "data_flow": factory.data_flow}


def command(url: str, facts: dict[str, Any]) -> dict[str, Any] | None:
    """Run `elspeth explain` for a token of each run; None where it takes no database."""
    cli = importlib.import_module("elspeth.cli")
    if "database" not in inspect.signature(cli.explain).parameters:
        return None
    runner = importlib.import_module("typer.testing").CliRunner()
    tokens = {run_id: token_id for token_id, run_id in facts["tokens"].items()}
    for run_id, token_id in tokens.items():
        arguments = ["explain", "--run", run_id, "--token", token_id, "--json"]
        path = url.removeprefix("sqlite:///")
        answer = runner.invoke(cli.app, [*arguments, "--database", path])
        if answer.exit_code:
            error = answer.exception
            if isinstance(error, SystemExit) or error is None:
                said = json.loads(answer.stdout).get("error", "")
                return {"error": {"type": "Exit", "message": first_line(said)}}
            raise error
        if json.loads(answer.stdout)["token"]["token_id"] != token_id:
            raise AssertionError("the command explains another token")
    return {"explained": len(tokens)}


def analyser(url: str, facts: dict[str, Any]) -> dict[str, Any] | None:
    """Call every method of the MCP analyser whose arguments the database can give."""
    kind = None
    for module in ("elspeth.mcp.analyzer", "elspeth.mcp.server"):
        with suppress(ModuleNotFoundError):
            kind = importlib.import_module(module).LandscapeAnalyzer
            break
    if kind is None:
        return None
    answered, errors = 0, {}
    with closing(kind(url)) as analyzer:
        for name, method in inspect.getmembers(analyzer, inspect.ismethod):
            if name.startswith("_") or name == "close":
                continue
            arguments = arguments_of(method, facts["samples"])
            if arguments is None:
                continue
            try:
                json.dumps(method(**arguments), default=str)
                answered += 1
            except Exception as error:
                errors[name] = told(error)
    return {"answered": answered, "errors": errors}


def arguments_of(method: Callable[..., Any], samples: dict[str, Any]) -> dict[str, Any] | None:
    """Give a method what it asks for; None where the database has nothing to give."""
    arguments = {}
    for name, parameter in inspect.signature(method).parameters.items():
        if name in samples and (parameter.default is parameter.empty or name == "token_id"):
            arguments[name] = samples[name]
        elif parameter.default is parameter.empty:
            return None
    return arguments


def screen(db: Any, facts: dict[str, Any]) -> dict[str, Any]:
    """Load the TUI's screen for every run and look at each of its nodes."""
    module = importlib.import_module("elspeth.tui.screens.explain_screen")
    shown = 0
    for run_id in facts["runs"]:
        one = module.ExplainScreen(db, run_id)
        if type(one.state).__name__ != "LoadedState":
            message = getattr(one.state, "error", None) or type(one.state).__name__
            return {"error": {"type": "LoadingFailed", "message": first_line(message)}}
        for node_id in facts["nodes"]:
            one.on_tree_select(node_id)
            one.render()
            shown += 1
    return {"shown": shown}


def is_attached(db: Any) -> bool:
    """Tell whether the shim opened the database, and not the host on its own path."""
    if "landscape_compat" not in sys.modules:
        return False
    attach = importlib.import_module("landscape_compat.engine.attach")
    return attach.attachment_of(db.engine) is not None


def fills_of(db: Any) -> dict[str, str] | None:
    """Name the kind of rule behind each column that the shim fills; None without the shim."""
    if "landscape_compat" not in sys.modules:
        return None
    attachment = importlib.import_module("landscape_compat.engine.attach").attachment_of(db.engine)
    fills: dict[str, str] = {}
    for table in attachment.report().tables if attachment else ():
        if table.drift.missing_table:
            fills[table.name] = "absent table"
        else:
            fills |= {f"{table.name}.{column.column}": column.kind for column in table.filled}
    return fills


def plain(value: Any) -> Any:
    """Write what JSON has no form for."""
    return dict(value) if isinstance(value, Mapping) else str(value)


def warned(caught: Iterable[warnings.WarningMessage]) -> dict[str, list[str]]:
    """Sort out the shim's warnings by table."""
    found = {}
    for one in caught:
        table = getattr(one.message, "table", None)
        if type(one.message).__name__ == "DegradedReadWarning" and table:
            found[str(table)] = list(getattr(one.message, "missing", ()))
    return found


def told(error: BaseException) -> dict[str, str]:
    """Tell an error's type, its first line, and whether the shim raised it on purpose."""
    families = [kind.__name__ for kind in type(error).__mro__]
    typed = {"typed": "yes"} if "LandscapeCompatError" in families else {}
    return {"type": type(error).__name__, "message": first_line(error), **typed}


def first_line(thing: object) -> str:
    """Give what people need of a message: its first two lines, without the statement."""
    lines = [line.strip() for line in str(thing).splitlines() if line.strip()]
    kept = [line for line in lines[:2] if not line.startswith(("[SQL", "(Background"))]
    return " ".join(kept)[:400]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
