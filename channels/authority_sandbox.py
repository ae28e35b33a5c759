"""An authority for demonstrations and tests: it knows everybody, by rules that anybody can apply. Never in production.

The order code of an ID number (characters 15 to 17) decides about a person:
    403   known under another name (mismatch)
    404   not known
    503   the authority is away
    else  a match, whatever the name
Kinship: the guardian's ID number begins with the child's region (characters 1 to 6) and is at least 16 years older.
Representation: characters 15 to 17 of the code (GB 32100) equal those of the representative's ID number; a name that
ends in "注销" is unknown.
"""

from __future__ import annotations

from channels.authority import verifier_away
from server.domain.real_name import Verdict, born_date

ORDER = slice(14, 17)
OLDER_YEARS = 16
VERDICTS = {"403": Verdict.MISMATCH, "404": Verdict.UNKNOWN}


class SandboxAuthority:
    """Implements a `Verifier`."""

    async def verify(self, name: str, id_number: str) -> Verdict:  # noqa: ARG002 - everybody has the name they give
        """By the order code."""
        _refuse_away(id_number)
        return VERDICTS.get(id_number[ORDER], Verdict.MATCH)

    async def kinship(self, guardian: str, child: str) -> bool:
        """By region and age."""
        _refuse_away(guardian, child)
        older = born_date(child).year - born_date(guardian).year
        return guardian[:6] == child[:6] and older >= OLDER_YEARS

    async def represents(self, id_number: str, name: str, uscc: str) -> Verdict:
        """By the order code and characters 15 to 17 of the organisation's."""
        _refuse_away(id_number)
        if name.endswith("注销"):
            return Verdict.UNKNOWN
        return Verdict.MATCH if uscc[ORDER] == id_number[ORDER] else Verdict.MISMATCH


class NoAuthority:
    """A city that has named none: nobody is verified."""

    async def verify(self, name: str, id_number: str) -> Verdict:  # noqa: ARG002
        """UnavailableError."""
        raise verifier_away()

    async def kinship(self, guardian: str, child: str) -> bool:  # noqa: ARG002
        """UnavailableError."""
        raise verifier_away()

    async def represents(self, id_number: str, name: str, uscc: str) -> Verdict:  # noqa: ARG002
        """UnavailableError."""
        raise verifier_away()


def _refuse_away(*numbers: str) -> None:
    if any(number[ORDER] == "503" for number in numbers):
        raise verifier_away()
