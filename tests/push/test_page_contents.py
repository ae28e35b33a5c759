"""What each person of a page gets: the broadcast's frozen texts, or words of the own thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from channels.base import PushContent
from push.contents import Contents, PageContents
from server.domain.broadcasts import Lane
from server.domain.outbox import Standing, Texts
from tests.push.city import warning
from tests.storage.ledger import page

NOW = datetime(2026, 7, 1, 4, tzinfo=UTC)
STANDING = Standing("t.one", Lane.REMINDER, topic="t", wechat_template="WX")


@dataclass
class Things:
    """Knows some things and remembers how it was asked."""

    known: set[str]
    standing: Mapping[str, Standing] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)

    async def render(self, template: str, abouts: Sequence[str]) -> Mapping[str, Texts]:
        """One title per thing and language."""
        assert template == "t.one"
        self.asked.append(list(abouts))
        return {
            about: {"push": {lang: {"title": f"{about} {lang}", "body": ""} for lang in ("zh", "en")}}
            for about in abouts
            if about in self.known
        }


def contents_of(about: Sequence[str]) -> PageContents:
    made = page(to=range(len(about)), channel="push", about=about, expires_at=NOW + timedelta(minutes=5))
    return PageContents(Contents(lambda: NOW), made, STANDING.broadcast("20260701", NOW))


async def test_each_gets_the_words_of_the_own_thing_from_one_query_and_what_is_gone_is_moot():
    things = Things({"a", "b"})
    contents = contents_of(["a", "b", "a", "gone"])
    assert await contents.load(things, range(4)) == {3}
    assert things.asked == [["a", "b", "gone"]]
    got = [contents.get(i, lang) for i, lang in ((0, "zh"), (1, "zh"), (2, "en"), (2, "zh"))]
    assert [c.title for c in got if isinstance(c, PushContent)] == ["a zh", "b zh", "a en", "a zh"]
    assert got[0] is got[3]


async def test_a_push_of_one_thing_replaces_no_other_ones_and_dies_with_its_page():
    contents = contents_of(["a", "b"])
    await contents.load(Things({"a", "b"}), range(2))
    first, second = contents.get(0, "zh"), contents.get(1, "zh")
    assert isinstance(first, PushContent)
    assert isinstance(second, PushContent)
    assert first.tag != second.tag
    assert first.ttl_s == 300
    assert first.data["subject"] == "a"


async def test_the_people_of_a_warning_get_the_same_content_and_no_subject_is_asked():
    made = page(to=range(3), channel="push")
    contents = PageContents(Contents(lambda: NOW), made, warning("w", Lane.YELLOW, NOW))
    things = Things(set())
    assert await contents.load(things, range(3)) == set()
    assert things.asked == []
    assert contents.get(0, "zh") is contents.get(2, "zh")
    assert contents.get(0, "zh") is not contents.get(0, "en")
