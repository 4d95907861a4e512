"""Records in the form of RFC 8785, which is what is signed."""

from __future__ import annotations

from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Any, Final

import rfc8785

from landscape_compat.errors import OutputError
from landscape_compat.export.formats.compiled import (
    PLAIN_NAMES,
    CompiledEncoder,
    compile_encoder,
    plain_fix,
)
from landscape_compat.export.formats.jsonl import as_json_value
from landscape_compat.export.records.values import RECORD_TYPE, RUN_ID, Field, Record, RecordForm

__all__ = ["canonical", "canonical_parts"]

_LARGEST: Final = 2**53 - 1
_SIGNATURE: Final = "signature"


def canonical(value: Any) -> bytes:
    """Write a JSON value in the form of RFC 8785.

    Args:
        value: The value.

    Raises:
        ValueError: It has none.
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise ValueError(str(error)) from error


def canonical_parts(form: RecordForm) -> CompiledEncoder:
    """Give what makes of a row its canonical record in two parts.

    Between the parts is where the member `signature` belongs: the parts together, with what is
    between them, are the signed record, and without it the unsigned one.

    Args:
        form: How the row becomes a record.
    """

    def result(cells: Sequence[tuple[Field | None, str]]) -> str:
        members = [(RECORD_TYPE, repr(form.record_type))]
        members += [(field.name if field else RUN_ID, value) for field, value in cells]
        members.sort(key=lambda member: member[0].encode("utf-16-be", "surrogatepass"))
        halves: tuple[list[str], list[str]] = ([], [])
        values: tuple[list[str], list[str]] = ([], [])
        limit = _SIGNATURE.encode("utf-16-be")
        for name, value in members:
            side = name.encode("utf-16-be", "surrogatepass") > limit
            halves[side].append(f"{encode_basestring(name).replace('%', '%%')}:%s")
            values[side].append(f"text({value}) if type({value}) is str else other({value})")
        parts = [
            f"({','.join(half)!r} % ({', '.join([*value, ''])})).encode()" if half else "b''"
            for half, value in zip(halves, values, strict=True)
        ]
        return f"({', '.join(parts)})"

    make = form.make
    return compile_encoder(
        form,
        result,
        names={**PLAIN_NAMES, "text": encode_basestring, "other": _other},
        fix=plain_fix,
        fallback=lambda row, run_id: _refuse(make(row, run_id)),
        catch="ValueError",
    )


def _other(value: Any) -> str:
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if type(value) is int:
        if -_LARGEST <= value <= _LARGEST:
            return str(value)
        raise ValueError(value)
    return canonical(as_json_value(value)).decode()


def _refuse(record: Record) -> Any:
    """Say which value of a record has no canonical form."""
    name, error = next((n, e) for n, value in record.items() if (e := _fault_of(value)))
    raise OutputError(
        f"A stored value has no form in RFC 8785, so the record cannot be signed: {error}.",
        table=str(record[RECORD_TYPE]),
        column=name,
        remedy="Export without signing each record, and sign the statement.",
    ) from error


def _fault_of(value: Any) -> ValueError | None:
    """Say why a value has no canonical form."""
    try:
        canonical(as_json_value(value))
    except ValueError as error:
        return error
    return None
