"""Every error the product raises on purpose, in one tree.

HuiminError
├── InvalidInputError      422  the caller sent something that cannot be right; names the field
├── UnauthenticatedError   401  who are you?
├── ForbiddenError         403  you may not; a missing rule means no
│   └── WorkNeededError    403  not before this puzzle is solved
├── NotFoundError          404  there is no such thing, or not for you
├── ConflictError          409  the thing is in a state that does not allow this
├── TooManyError           429  later
├── UnavailableError       503  a part of the world is broken; try again
└── ConfigurationError     -    the operator has to change a setting; the text says which

Expected results are values, not exceptions. `code` is stable: clients and the README rely on it. Texts exist in both
languages because the person who reads them may be a citizen; the HTTP status is chosen in `handlers/base.py`.
"""

from __future__ import annotations


class HuiminError(Exception):
    """The root. `code` is stable, `zh` and `en` are for people, `field` names the input that is at fault.

    `retry_after_s` is for who has to wait and can be told how long; without it a 429 or 503 says a short while.
    """

    def __init__(
        self, code: str, *, zh: str, en: str, field: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(f"{code}: {en}")
        self.code = code
        self.zh = zh
        self.en = en
        self.field = field
        self.retry_after_s = retry_after_s


class InvalidInputError(HuiminError):
    """The caller sent something that cannot be right."""


class UnauthenticatedError(HuiminError):
    """Nobody known is asking."""


class ForbiddenError(HuiminError):
    """The one who asks may not do this."""


class WorkNeededError(ForbiddenError):
    """Somebody floods this: who asks solves a puzzle first, SHA-256 of `<challenge>.<solution>` with `bits` zeros."""

    def __init__(self, code: str, *, zh: str, en: str, challenge: str, bits: int) -> None:
        super().__init__(code, zh=zh, en=en)
        self.challenge = challenge
        self.bits = bits


class NotFoundError(HuiminError):
    """There is no such thing, or it is not for the one who asks."""


class ConflictError(HuiminError):
    """The thing is in a state that does not allow this."""


class StepRefusedError(ConflictError):
    """An application is not where this can be done; `allowed` can be."""

    def __init__(self, code: str, *, zh: str, en: str, allowed: tuple[str, ...]) -> None:
        super().__init__(code, zh=zh, en=en)
        self.allowed = allowed


class TooManyError(HuiminError):
    """The caller has to wait."""


class UnavailableError(HuiminError):
    """A part of the world is broken; the same request may work later."""


class ConfigurationError(HuiminError):
    """The operator has to change a setting."""
