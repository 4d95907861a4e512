"""Refusing in words that people and the host's own handlers understand."""

from __future__ import annotations

from landscape_compat.errors import DegradedDatabaseError, LandscapeCompatError, WriteRefusedError
from landscape_compat.landscape.rescue import Finding

__all__ = ["REMEDY", "in_family", "refusal"]

REMEDY = (
    "Export the database as it is (`landscape-compat export`), migrate a copy of it, or move it "
    "aside (`landscape-compat reset`) and start a fresh database."
)
_SHOWN = 3


def refusal(finding: Finding, posture: str | None, command: str | None) -> LandscapeCompatError:
    """Say why the posture or the purpose forbids to open a degraded database.

    Args:
        finding: What was found of it.
        posture: The posture that the shim is installed with.
        command: The host's command that was to open it, if it was one that writes.
    """
    shown, rest = finding.reasons[:_SHOWN], len(finding.reasons) - _SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    what = "; ".join(shown) or "nothing that is read is missing, but the program refuses it"
    reason = f"The schema of this audit database is not this program's ({what}{more})"
    kind: type[LandscapeCompatError] = WriteRefusedError
    if posture == "refuse":
        kind = DegradedDatabaseError
        reason += ". The posture is `refuse`, so it was not opened."
    else:
        purpose = f"by the command `{command}`, which writes" if command else "for writing"
        reason += f", and it was to be opened {purpose}. Nothing was recorded, neither in it nor "
        reason += "anywhere else."
    if finding.verdict:
        reason += f"\n\nThe program itself says:\n\n{finding.verdict}\n\n"
        reason += "Delete nothing on its word."
    return kind(reason, remedy=REMEDY)


def in_family(error: LandscapeCompatError, kind: type[Exception] | None) -> LandscapeCompatError:
    """Make an error that the host's own handlers catch, too, and report in their way.

    Args:
        error: The error.
        kind: The host's own error in such a case; None if it has none.
    """
    if kind is None:
        return error
    # Told and caught as both; pickled as ours, because it cannot be found by its name.
    made_of = (type(error), kind)
    both: type[LandscapeCompatError] = type(type(error).__name__, made_of, {"__module__": __name__})
    made = both(error.reason, table=error.table, column=error.column, remedy=error.remedy)
    vars(made).update(vars(error))
    return made
