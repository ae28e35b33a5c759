"""The city's authority for names: one JSON service over HTTPS that knows who is who. Implements a `Verifier`.

POST {base_url}/verify     {"name", "id_number"}          -> {"verdict": "match" | "mismatch" | "unknown"}
POST {base_url}/kinship    {"guardian", "child"}          -> {"is_kin": true | false}
POST {base_url}/represents {"id_number", "name", "uscc"}  -> {"verdict": ...}

with `Authorization: Bearer <key>`. Anything but a 200 with exactly such a body, in time, is `verifier_away`: nobody is
verified or refused by an answer that was not understood. Numbers and names go out in the body only, never in a URL.
"""

from __future__ import annotations

from typing import TypeVar

import orjson
import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from channels.call import State
from channels.transport import Transport
from server.domain.errors import UnavailableError
from server.domain.real_name import Verdict
from server.settings import AuthorityAccount

M = TypeVar("M", bound=BaseModel)

log = structlog.get_logger()


class _Judgement(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    verdict: Verdict


class _Kinship(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    is_kin: bool


class Authority:
    """Asks the authority. Nothing is retried: the citizen is there and may try again."""

    def __init__(self, account: AuthorityAccount, transport: Transport) -> None:
        self._account = account
        self._transport = transport
        self._headers = (
            "Content-Type: application/json",
            f"Authorization: Bearer {account.key.get_secret_value()}",
        )

    async def verify(self, name: str, id_number: str) -> Verdict:
        """Whether this number is this person's."""
        return _read(_Judgement, await self._ask("verify", {"name": name, "id_number": id_number})).verdict

    async def kinship(self, guardian: str, child: str) -> bool:
        """Whether one is a guardian of the other."""
        return _read(_Kinship, await self._ask("kinship", {"guardian": guardian, "child": child})).is_kin

    async def represents(self, id_number: str, name: str, uscc: str) -> Verdict:
        """Whether this person is the legal representative of this organisation."""
        asked = {"id_number": id_number, "name": name, "uscc": uscc}
        return _read(_Judgement, await self._ask("represents", asked)).verdict

    async def _ask(self, what: str, body: dict[str, str]) -> bytes:
        url = f"{self._account.base_url.rstrip('/')}/{what}"
        reply = await self._transport.fetch(url, self._headers, orjson.dumps(body), self._account.timeout_s)
        if reply.state is not State.ANSWERED or reply.status != 200:
            log.warning("authority_away", asked=what, state=reply.state.value, status=reply.status)
            raise verifier_away()
        return reply.body


def verifier_away() -> UnavailableError:
    """The authority does not answer, or not as agreed."""
    return UnavailableError(
        "verifier_away", zh="实名核验服务暂时不可用，请稍后再试", en="the authority that verifies names is away"
    )


def _read(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError:
        log.warning("authority_unreadable", size=len(body))
        raise verifier_away() from None
