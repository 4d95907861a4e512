"""Functions made to measure for one form of record, because a loop over its fields costs more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from landscape_compat.export.records.values import FIXES, Field, Kind, RecordForm

__all__ = ["PLAIN_NAMES", "CompiledEncoder", "compile_encoder", "plain_fix", "time_fix"]

CompiledEncoder: TypeAlias = Callable[[Sequence[Any], Any], Any]


def compile_encoder(
    form: RecordForm,
    result: Callable[[Sequence[tuple[Field | None, str]]], str],
    *,
    names: Mapping[str, Any],
    fix: Callable[[Field, str], Sequence[str]],
    fallback: CompiledEncoder | None = None,
    catch: str = "",
    unless: str = "",
) -> CompiledEncoder:
    """Make a function of a row and its run.

    Nothing of what a database holds gets into its text but the names of fields, written as
    Python's own literals.

    Args:
        form: How the row becomes a record.
        result: Makes the expression of the result, of each field behind the type and of the
            variable, or literal, that holds its value; the field of the run is None.
        names: What the text may name.
        fix: Makes the lines that turn a stored value into a record's.
        fallback: What is called, with the row and the run, where the result cannot be made so.
        catch: The name of the exception that says that it cannot.
        unless: The expression that says so beforehand.
    """
    ats = sorted({field.at for field in _all(form) if field.at})
    last = ats[-1] if ats else 0
    unpacked = ", ".join(f"c{at}" for at in range(last + 1))
    body = [f"{unpacked}, = row"] if ats else []
    if unless:
        body.append(f"if {unless}: return fallback(row, run_id)")
    for field in _all(form):
        if field.at:
            body += fix(field, f"c{field.at}")
    cells = [(field, f"c{field.at}" if field.at else repr(field.constant)) for field in form.fields]
    if form.run:
        body.append(f"return {result([(None, 'c1'), *cells])}")
    else:
        body += [
            "if run_id is None:",
            f"    return {result(cells)}",
            f"return {result([(None, 'run_id'), *cells])}",
        ]
    if fallback and catch:
        body = [
            "try:",
            *(f"    {line}" for line in body),
            f"except {catch}:",
            "    return fallback(row, run_id)",
        ]
    lines = ["def encode(row, run_id):", *(f"    {line}" for line in body)]
    space = {**names, "fallback": fallback}
    exec("\n".join(lines), space)
    encode: CompiledEncoder = space["encode"]
    return encode


def plain_fix(field: Field, variable: str) -> Sequence[str]:
    """Turn a stored value into a record's by `FIXES`, under the name `fix_KIND`."""
    if field.kind is Kind.AS_STORED:
        return ()
    if field.kind is Kind.TIME:
        as_iso = f"{variable}[:10] + 'T' + {variable}[11:]"
        return time_fix(variable, as_iso, unless=f"{variable}[19:] == '.000000'")
    return (f"if {variable} is not None: {variable} = fix_{field.kind}({variable})",)


def time_fix(
    variable: str, value: str, *, unless: str = "False", moment: str | None = None
) -> Sequence[str]:
    """Turn a stored time into a record's, with little work where SQLAlchemy wrote it.

    Of what `fromisoformat` takes, only what SQLAlchemy writes has this length, these marks in
    these places, and no time zone; but the hour 24, which some versions of Python take for the
    next day's.

    Args:
        variable: The variable that holds the stored value.
        value: The expression of a record's value; `moment` is the time that it tells.
        unless: The expression that says that this is another, nevertheless.
        moment: The expression of what a `datetime`, which a server's driver makes, becomes; what
            is a record's if not given.
    """
    fixed = f"fix_{Kind.TIME}({variable})"
    lines = [
        f"if type({variable}) is str:",
        "    try:",
        f"        moment = from_iso({variable})",
        f"        {variable} = {value} if len({variable}) == 26 and {variable}[{_MARKED}]"
        f" == {_MARKS!r} and moment.tzinfo is None and {variable}[11:13] != '24' and not ({unless})"
        f" else {fixed}",
        "    except ValueError:",
        f"        {variable} = {fixed}",
    ]
    if moment:
        lines += [f"elif type({variable}) is datetime:", f"    {variable} = {moment}"]
    return (*lines, f"elif {variable} is not None:", f"    {variable} = {fixed}")


# Where SQLAlchemy puts what between the digits of a timestamp: they lie three apart, so that one
# slice has them all.
_MARKED: Final = "4:20:3"
_MARKS: Final = "-- ::."
PLAIN_NAMES: Mapping[str, Any] = {
    "datetime": datetime,
    "from_iso": datetime.fromisoformat,
    **{f"fix_{kind}": fix for kind, fix in FIXES.items()},
}


def _all(form: RecordForm) -> Sequence[Field]:
    return [form.run, *form.fields] if form.run else form.fields
