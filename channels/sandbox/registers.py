"""A department's interface as docs/departments.md has it: it knows everybody, and says what follows from their number.

The order code of the ID number (characters 15 to 17) decides, as at the sandbox's authority for names:
    404   nothing is known of this person
    503   the department is away
    else  name, number and what is in the number, everything else made up, the same each time, as of yesterday
A wrong signature is 401, a question that is not as agreed 400. The word for "unknown code" is a wrong answer: a value
that nobody asked for.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from channels.sandbox.accounts import DEPARTMENT_KEY
from channels.sandbox.book import Answer, Book
from channels.sandbox.http import Request, response

ASK = b"/registers/ask"
OLDEST_S = 300  # of a signature, as Standard Webhooks advises
_ORDER = slice(14, 17)
_STATUS = {"404": (404, "nothing is known of this person"), "503": (503, "the department is away")}
_FIXED: Mapping[str, str | int] = {  # what forms check
    "category": "limbs",
    "level": 2,
    "student_number": "G440305199901010019",
    "list_number": "BH20260101",
    "certificate_number": "S440305901",
    "plate": "粤B12345",
    "uscc": "91440300MA5EX0101X",
    "spouse_id_number": "440305199001012021",
}
_WHOLE = ("_fen", "_m2", "_months", "months", "_count", "_years", "grade")
_DAYS = ("_on", "_until", "_at", "_day")
_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Person(BaseModel):
    """Who is asked about."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(min_length=1, max_length=100)
    id_number: str = Field(pattern=r"^\d{17}[\dX]$")


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    request: str = Field(pattern=r"^[0-9a-f]{32}$")
    source: _Name
    purposes: list[_Name] = Field(min_length=1)
    fields: list[_Name] = Field(min_length=1)
    person: Person


class Registers:
    """All departments behind one address."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.routes: Mapping[bytes, Callable[[Request], Answer]] = {ASK: self.ask}

    def ask(self, request: Request) -> Answer:
        """One question."""
        if request.method != b"POST":
            return self._refusal(405, "only POST")
        if not self._is_signed(request):
            return self._refusal(401, "the signature is wrong or older than five minutes")
        try:
            question = _Question.model_validate_json(request.body)
        except ValidationError as error:
            return self._refusal(400, f"{error.error_count()} faults")
        if question.request.encode() != request.header(b"webhook-id"):
            return self._refusal(400, "request and webhook-id differ")
        known = _STATUS.get(question.person.id_number[_ORDER])
        if known is not None:
            return self._refusal(*known)
        self.book.counts["answered"] += 1
        return Answer(
            self._answer({field: made_up(question.source, field, question.person) for field in question.fields})
        )

    def _is_signed(self, request: Request) -> bool:
        """HMAC-SHA256 as Standard Webhooks has it, computed here by itself: a department's own code would be, too."""
        name, at = request.header(b"webhook-id"), request.header(b"webhook-timestamp")
        if not at.isdigit() or len(at) > 12 or abs(self.book.clock() - int(at)) > OLDEST_S:
            return False
        key = base64.b64decode(DEPARTMENT_KEY.removeprefix("whsec_"))
        right = base64.b64encode(hmac.digest(key, name + b"." + at + b"." + request.body, hashlib.sha256))
        return any(hmac.compare_digest(each, b"v1," + right) for each in request.header(b"webhook-signature").split())

    def _answer(self, values: Mapping[str, Any]) -> bytes:
        as_of = datetime.fromtimestamp(self.book.clock(), UTC) - timedelta(days=1)
        return response(200, orjson.dumps({"as_of": as_of, "values": values}))

    def _refusal(self, status: int, error: str) -> Answer:
        self.book.refuse(str(status))
        return Answer(response(status, orjson.dumps({"error": error})))

    # -- faults in its own words

    def busy(self) -> bytes:
        """HTTP 503."""
        return response(503, b'{"error":"busy"}')

    def over_quota(self) -> bytes:
        """HTTP 429."""
        return self.too_many(60)

    def too_many(self, retry_after_s: int) -> bytes:
        """HTTP 429."""
        return response(429, b'{"error":"too many"}', headers=f"Retry-After: {retry_after_s}\r\n")

    def server_error(self) -> bytes:
        """HTTP 500, in the HTML of something in between."""
        return response(500, b"<html>Internal Server Error</html>", content_type="text/html")

    def unknown(self) -> bytes:
        """A wrong answer."""
        return self._answer({"nobody_asked_for_this": "x"})


def made_up(source: str, field: str, person: Person) -> str | int | bool:
    """What a source says of a person, the same each time; it passes the checks of the forms that it fills."""
    born, is_male = person.id_number[6:14], int(person.id_number[16]) % 2 == 1  # GB 11643
    known = {
        "name": person.name,
        "id_number": person.id_number,
        "birth_day": f"{born[:4]}-{born[4:6]}-{born[6:]}",
        "sex": "male" if is_male else "female",
    }
    if source != "company" and field in known:
        return known[field]
    if field in _FIXED:
        return _FIXED[field]
    digest = hashlib.sha256(f"{source}|{field}|{person.id_number}".encode()).digest()
    if field.startswith("is_"):
        return digest[0] % 2 == 0
    if field.endswith(_WHOLE):
        return digest[0] % 40
    if field.endswith(_DAYS):
        return (date(2016, 1, 1) + timedelta(days=int.from_bytes(digest[:2]) % 3_650)).isoformat()
    return f"示例{digest[:4].hex()}"
