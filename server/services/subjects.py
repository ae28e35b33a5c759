"""What personal notices are about: each family of templates ("notice", "booking") has one subject that finds the words.

A feature that tells people something brings a `Subject` and puts entries into the outbox; the engine does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from server.domain.outbox import Standing, Texts


class Subject(Protocol):
    """The things of one feature."""

    @property
    def standing(self) -> Sequence[Standing]:
        """Its templates."""
        ...

    async def render(self, template: str, abouts: Sequence[str]) -> Mapping[str, Texts]:
        """The words for these things as they are now, in one query; what is moot is left out."""
        ...


class Subjects:
    """All subjects by template. Implements the engine's protocol of the same name."""

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self._of = {standing.template: subject for subject in subjects for standing in subject.standing}
        self._standing = {standing.template: standing for subject in subjects for standing in subject.standing}

    @property
    def standing(self) -> Mapping[str, Standing]:
        """Every template by name."""
        return MappingProxyType(self._standing)

    async def render(self, template: str, abouts: Sequence[str]) -> Mapping[str, Texts]:
        """The words for these things; KeyError if nobody knows the template."""
        return await self._of[template].render(template, abouts)
