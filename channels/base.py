"""The contract between the push engine and a provider.

The engine hands over a *window*: some addresses that get the same content. A channel answers every one of them exactly
once, through `settle(index, outcome)`, before the window's deadline. A channel never sleeps, never retries and never
writes to a database: what an outcome means for the ledger, for the address and for the account is the engine's
business.

Every provider file starts with its error table: the provider's code -> `Fault`. A code that is not in the table is
`UNLISTED`: retried a little, counted, never fatal, never "delivered".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Verdict(StrEnum):
    """What the provider said at once about one address."""

    ACCEPTED = "accepted"  # it took the notice: the journal of the provider holds it
    REFUSED = "refused"  # it will never take it
    RETRY = "retry"  # it did not take it, but may later: a clean refusal, nothing was handed over
    UNKNOWN = "unknown"  # bytes left and no clear answer came: it may have been taken


class Kind(StrEnum):
    """What a refusal says about the world."""

    ADDRESS_DEAD = "address_dead"  # retire this address; the person needs another channel
    GRANT_GONE = "grant_gone"  # the address is fine, the permission (WeChat grant) is used up or withdrawn
    CONFIG = "config"  # our template, signature or payload is wrong: every recipient would fail; page a human
    AUTH = "auth"  # credentials, IP list or arrears: the account is closed until somebody acts
    QUOTA = "quota"  # too much for now: `scope` and `reset_s` say for whom and how long
    RETRY = "retry"  # the provider is busy
    UNKNOWN = "unknown"  # no telling whether it was taken
    UNLISTED = "unlisted"  # a code we have never seen


class Scope(StrEnum):
    """Whom a quota stops."""

    PERSON = "person"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of a provider's error table."""

    kind: Kind
    scope: Scope | None = None
    reset_s: float | None = None  # seconds until the quota is back; None = see `until_midnight`
    until_midnight: bool = False  # the quota comes back at 00:00 China Standard Time

    @property
    def verdict(self) -> Verdict:
        """What the fault means for the notice that met it."""
        match self.kind:
            case Kind.ADDRESS_DEAD | Kind.GRANT_GONE:
                return Verdict.REFUSED
            case Kind.UNKNOWN:
                return Verdict.UNKNOWN
            case Kind.QUOTA if self.scope is Scope.PERSON:
                return Verdict.REFUSED
            case _:
                return Verdict.RETRY


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the provider said at once about one address. `code` is the provider's own word ("43101", "isv...")."""

    verdict: Verdict
    code: str = ""
    fault: Fault | None = None
    reference: str = ""  # the provider's id of the notice (msgid, BizId, SerialNo); receipts may carry it
    retry_after_s: float | None = None


ACCEPTED = Verdict.ACCEPTED
NOT_STARTED = Outcome(Verdict.RETRY, "not_started", Fault(Kind.RETRY))  # `start_by` passed before a byte was written

Settle = Callable[[int, Outcome], None]


@dataclass(frozen=True, slots=True, eq=False)
class WeChatContent:
    """A subscribe message: `data` maps the template's typed keys (thing1, time2 ...) to their values."""

    template_id: str
    data: Mapping[str, str]
    page: str = ""
    lang: str = "zh_CN"  # zh_CN | en_US | zh_HK | zh_TW
    miniprogram_state: str = "formal"  # developer | trial | formal


@dataclass(frozen=True, slots=True, eq=False)
class PushContent:
    """A push notification. `tag` makes a later message of the same chain replace this one on the device."""

    title: str
    body: str
    tag: str
    ttl_s: int
    is_loud: bool  # high priority and sound; False = silent
    channel_id: str = "default"  # Android notification channel, e.g. alert_red
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SmsTemplate:
    """An approved template at one SMS provider. `params` keeps the template's order (Tencent numbers them)."""

    template_id: str
    sign: str
    params: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class SmsContent:
    """An SMS: the text a person will read, and the template that yields it at each provider (by provider name)."""

    text: str
    templates: Mapping[str, SmsTemplate]


Content = WeChatContent | PushContent | SmsContent


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Some addresses that get the same content now.

    `reference` is our own word for it (the page id): sent along where the provider echoes it (OutId, SessionContext).
    `start_by` is a time of the event loop's clock: what has not started by then settles as `NOT_STARTED`. `deadline_s`
    bounds one request. `is_urgent` windows may use the reserved connections.
    """

    content: Content
    addresses: Sequence[str]
    reference: str
    start_by: float
    deadline_s: float
    is_urgent: bool = False


class Channel(Protocol):
    """One account at one provider."""

    channel: str  # wechat | push | sms
    provider: str  # wechat | fcm | sms_aliyun | sms_tencent
    per_request: int  # addresses that one request can carry; a window may be larger

    async def ready(self) -> Fault | None:
        """Make credentials fresh (single flight over processes); a Fault says why nothing can be sent now."""
        ...

    def send(self, window: Window, settle: Settle) -> None:
        """Start handing over, return at once; `settle` is called exactly once per index, on the event loop."""
        ...


class ReceiptVerdict(StrEnum):
    """What the provider said later."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider said later about one notice. `at` is the provider's time, aware."""

    address: str  # openid or E.164 phone
    verdict: ReceiptVerdict
    code: str
    reference: str  # what `Outcome.reference` was, or ""
    at: datetime
    fault: Fault | None = None  # e.g. the number does not exist: retire it


@dataclass(frozen=True, slots=True)
class GrantChange:
    """A citizen accepted or withdrew a WeChat template."""

    openid: str
    template_id: str
    is_accepted: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """An HTTP request that claims to come from a provider."""

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Callback:
    """A verified callback. Answer with `answer` only after `receipts` and `grants` are durable.

    `replay_key` is unique per HTTP request where the provider signs a nonce (a second use is a forgery: 403).
    A second delivery of a message is normal: ranks only rise and a grant knows its time, so it has no effect.
    """

    answer: bytes
    content_type: str
    receipts: Sequence[Receipt] = ()
    grants: Sequence[GrantChange] = ()
    replay_key: str | None = None


class ForgedCallbackError(Exception):
    """The callback is not the provider's: answer 403 and change nothing. The text says which check failed."""


class ReceiptReader(Protocol):
    """Verifies and reads the callbacks of one provider. Pure: `now` is an argument."""

    provider: str

    def read(self, request: CallbackRequest, now: datetime) -> Callback:
        """The verified callback; raises ForgedCallbackError, and nothing else, whatever the bytes are."""
        ...
