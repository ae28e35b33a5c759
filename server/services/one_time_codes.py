"""One-time codes by SMS: `send` one, `check` one. For log-in, binding a phone, joining accounts, consent, erasure.

Promises. The answer to `send` is the same whether anybody here has that number; no code is sent that the rules do not
allow, whoever asks and however many ask at once, and MongoDB alone knows what was sent. `check` has one error for all
that can be wrong. A code that could not be sent costs nobody anything. Neither numbers nor codes are logged.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from server.domain.errors import TooManyError, UnavailableError, WorkNeededError
from server.domain.one_time_codes import (
    CODE_DIGITS,
    LIVES_FOR,
    NUMBER_BOUNDS,
    WORK_LIVES_FOR,
    Counted,
    Judgement,
    Purpose,
    Rule,
    bounds,
    code_wrong,
    has_worked,
    judge,
    number_wait_s,
    parse_phone,
    prefix_of,
)
from server.domain.origins import neighbourhood
from server.storage.one_time_codes import CodeStore, Keys, NewCode, Standing

RACES = 8  # lost in a row, against others who count in the same windows
RETRY_AFTER_S = int(NUMBER_BOUNDS[0][1].total_seconds())

log = structlog.get_logger()


class Texter(Protocol):
    """What sends one SMS at once, outside the ledger."""

    async def text(self, phone: str, purpose: Purpose, language: str, code: str) -> bool:
        """Hand a code to a provider; False if none can take anything now."""
        ...


@dataclass(frozen=True, slots=True)
class Proof:
    """A solved puzzle."""

    challenge: str
    solution: str


@dataclass(frozen=True, slots=True)
class Asking:
    """Who wants a code. `phone` as it was typed; `origin` and `device`: where the request came from, "" = unknown."""

    phone: str
    purpose: Purpose
    language: str = "zh"
    origin: str = ""
    device: str = ""
    proof: Proof | None = None


@dataclass(frozen=True, slots=True)
class SentCode:
    """What the one who asked may know."""

    request: str
    expires_at: datetime
    retry_after_s: int


class OneTimeCodes:
    """The counter for one-time codes. `random` yields so many random bytes; the first of `regions` needs no "+"."""

    def __init__(
        self,
        store: CodeStore,
        texter: Texter,
        rules: Sequence[Rule],
        *,
        regions: Sequence[str],
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._texter = texter
        self._rules = rules
        self._bounds = bounds(rules)
        self._regions = regions
        self._now = now
        self._random = random
        self.events: Counter[str] = Counter()  # sent, verified, wrong, away, and what was refused why

    async def send(self, asking: Asking) -> SentCode:
        """Send a new code; earlier ones stay good.

        InvalidInputError `phone_invalid`, TooManyError `code_too_soon` or `codes_exhausted`, WorkNeededError
        `proof_of_work_needed`, UnavailableError `sms_away`.
        """
        phone = parse_phone(asking.phone, self._regions)
        for _ in range(RACES):
            now = self._now()
            keys = self._keys(asking, phone, now)
            before = await self._store.standing(keys)
            self._refuse(asking, phone, before, now)
            new = NewCode(self._random(16).hex(), asking.purpose, phone, self._code(), now)
            if await self._store.add(new, keys, before, self._bounds):
                return await self._hand_over(new, keys, before, asking.language)
        self.events["lost_races"] += 1
        raise _exhausted(1)

    async def check(self, request: str, code: str, purpose: Purpose) -> str:
        """Use a code up: the E.164 number it was sent to. InvalidInputError `code_wrong`, whatever is wrong."""
        phone = await self._store.redeem(request, code, purpose, self._now())
        self.events["verified" if phone else "wrong"] += 1
        if phone is None:
            raise code_wrong()
        return phone

    async def _hand_over(self, new: NewCode, keys: Keys, before: Standing, language: str) -> SentCode:
        if not await self._texter.text(new.phone, new.purpose, language, new.code):
            await self._store.give_back(new, keys, before)
            self.events["away"] += 1
            raise UnavailableError("sms_away", zh="短信暂时无法发送", en="text messages cannot be sent now")
        self.events["sent"] += 1
        return SentCode(new.request, new.at + LIVES_FOR, RETRY_AFTER_S)

    def _keys(self, asking: Asking, phone: str, now: datetime) -> Keys:
        named = {Counted.CITY: "", Counted.PREFIX: prefix_of(phone)}
        if asking.origin:
            named[Counted.ORIGIN] = neighbourhood(asking.origin)
        if asking.device:
            named[Counted.DEVICE] = asking.device
        return self._store.keys(phone, named, list(self._bounds), now)

    def _refuse(self, asking: Asking, phone: str, before: Standing, now: datetime) -> None:
        """Raise what keeps this code from being sent, if anything does."""
        if wait_s := number_wait_s(before.number, now):
            self.events["refused_number"] += 1
            raise _too_soon(wait_s)
        said = judge(self._rules, before.tallies, now)
        if said.wait_s:
            self._tell(said)
            is_own = said.why in (Counted.DEVICE, Counted.ORIGIN)
            raise _too_soon(said.wait_s) if is_own else _exhausted(said.wait_s)
        if said.work_bits and not self._has_worked(asking, phone, said.work_bits, now):
            self._tell(said)
            raise WorkNeededError(
                "proof_of_work_needed",
                zh="获取验证码的请求过多，需先完成一次计算",
                en="many codes are asked for: a small computation is needed first",
                challenge=self._challenge(asking, phone, said.work_bits, now),
                bits=said.work_bits,
            )

    def _tell(self, said: Judgement) -> None:
        """Count a refusal; the first one of its kind in this process, and every thousandth, is a line of the log."""
        event = f"{'refused' if said.wait_s else 'work'}_{said.why}"
        if self.events[event] % 1_000 == 0:
            log.warning("codes_held_back", event_kind=event, bits=said.work_bits, wait_s=said.wait_s)
        self.events[event] += 1

    def _challenge(self, asking: Asking, phone: str, bits: int, now: datetime) -> str:
        """A puzzle for this number and purpose, which nobody has to remember: it carries its own seal."""
        until = int((now + WORK_LIVES_FOR).timestamp())
        head = f"{bits}.{until}.{self._random(8).hex()}"
        return f"{head}.{self._seal(head, phone, asking.purpose)}"

    def _has_worked(self, asking: Asking, phone: str, bits: int, now: datetime) -> bool:
        """Whether a puzzle of ours for this number, no more than one bit easier than today's, was solved in time."""
        proof = asking.proof
        if proof is None:
            return False
        head, _, seal = proof.challenge.rpartition(".")
        expected = self._seal(head, phone, asking.purpose)
        if not hmac.compare_digest(seal.encode(), expected.encode()):
            return False
        given_bits, until = (int(part) for part in head.split(".")[:2])  # our own words: the seal is right
        is_fit = given_bits >= bits - 1 and until > now.timestamp()
        return is_fit and has_worked(proof.challenge, proof.solution, given_bits)

    def _seal(self, head: str, phone: str, purpose: Purpose) -> str:
        return self._store.index("challenge", f"{head}|{phone}|{purpose}")

    def _code(self) -> str:
        """Six digits; 8 random bytes make their bias too small to be found."""
        return f"{int.from_bytes(self._random(8)) % 10**CODE_DIGITS:0{CODE_DIGITS}d}"


def _too_soon(wait_s: int) -> TooManyError:
    return TooManyError(
        "code_too_soon", zh="获取验证码过于频繁", en="codes are asked for too often", retry_after_s=wait_s
    )


def _exhausted(wait_s: int) -> TooManyError:
    return TooManyError(
        "codes_exhausted", zh="获取验证码的人过多", en="too many people ask for codes", retry_after_s=wait_s
    )
