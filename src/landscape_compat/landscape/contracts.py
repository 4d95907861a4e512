"""Schema contracts of another era: why a reader cannot parse or verify one, said in a typed error.

What a contract tells of a field, and the digest that vouches for the whole, differ by era: fields
say since 2026-02-15 whether they may be null, and the digest has 32 digits since 2026-02-08, where
it had 16. A reader of another era raises `KeyError`, or takes the contract for corrupted. Neither
can be mended: the digest covers the words, so a completed contract would be a forged one.
"""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass
from typing import Any

from landscape_compat.errors import UnreadableError
from landscape_compat.landscape.refusals import in_family

__all__ = ["read_contract"]

_DIGEST = re.compile(r"\b[0-9a-f]{16,64}\b")


def read_contract(
    wrapped: Any,
    kind: Any,
    args: tuple[Any, ...],
    options: dict[str, Any],
    *,
    field_kind: Any,
) -> Any:
    """Restore a contract from its JSON, as the host does, and verify it.

    What the host restores is given back as it is. Where it raises because the contract has the
    words of another era, the error says so.

    Args:
        wrapped: The host's `ContractAuditRecord.from_json`.
        kind: What it is bound to.
        args: Its arguments.
        options: Its keyword arguments.
        field_kind: The host's class for one field of a contract.

    Raises:
        UnreadableError: The contract is of another era; also of the host's own error's family.
    """
    try:
        record = wrapped(*args, **options)
    except Exception as error:
        refusal = _of_another_era(error, args, options, field_kind)
        if refusal is None:
            raise
        raise refusal from error
    try:
        record.to_schema_contract()
    except Exception as error:
        refusal = _of_another_era(error, args, options, field_kind)
        if refusal is not None:
            raise refusal from error
    return record


def _of_another_era(
    error: Exception, args: tuple[Any, ...], options: dict[str, Any], field_kind: Any
) -> UnreadableError | None:
    text = next((value for value in (*args, *options.values()) if isinstance(value, str)), "")
    why = _difference(text, error, field_kind)
    if not why:
        return None
    refusal = UnreadableError(
        f"A schema contract is of another era: {why}. So this version can neither read nor verify "
        "it, which says nothing of damage. Nothing was made up to make it fit.",
        remedy="Read it as recorded (`landscape-compat export`), or with a version of its time.",
    )
    made = in_family(refusal, type(error))
    assert isinstance(made, UnreadableError)
    return made


def _difference(text: str, error: Exception, field_kind: Any) -> str:
    """Say what a contract's era knew otherwise than the reader's; "" if nothing is known."""
    try:
        found = json.loads(text)
        told = [set(field) for field in found["fields"]]
        digest = str(found["version_hash"])
    except (ValueError, TypeError, LookupError):
        return ""
    known = {field.name for field in fields(field_kind)} if is_dataclass(field_kind) else set()
    for name in sorted(known - set.intersection(*told)) if told and known else ():
        return f"it does not tell `{name}` of a field, which this version insists on"
    for name in sorted(set().union(*told) - known) if known else ():
        return f"its digest covers `{name}` of a field, which this version does not know"
    lengths = {len(one) for one in _DIGEST.findall(str(error))}
    if len(lengths) > 1 and len(digest) in lengths:
        other = (lengths - {len(digest)}).pop()
        return f"its digest has {len(digest)} digits, and this version's have {other}"
    return ""
