"""What everybody may read of public notices: lists, one with its history, feeds by topic. And follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from handlers.base import ApiHandler
from handlers.feeds import DivisionQuery
from handlers.front import Shelf
from handlers.public import PublicHandler
from server.domain.bulletins import TOPIC
from server.domain.bulletins_json import PublicBulletin, TopicsView
from server.domain.bulletins_writing import (
    ATOM_TYPE,
    JSON_FEED_TYPE,
    RSS_TYPE,
    Feed,
    atom,
    json_feed,
    rss,
)
from server.domain.divisions import Divisions, normal
from server.domain.errors import NotFoundError
from server.domain.follows import Follow
from server.domain.officers import DIVISION
from server.services.bulletins import Asked, Bulletins
from server.services.follows import Follows

KEPT_FOR = timedelta(seconds=1)  # on the shelf: so long may a change be unseen
Writer = Callable[[Feed, Sequence[PublicBulletin]], bytes]
FORMS: dict[str, tuple[Writer, str]] = {
    "rss": (rss, RSS_TYPE),
    "atom": (atom, ATOM_TYPE),
    "json": (json_feed, JSON_FEED_TYPE),
}
_FOLLOW: JsonDict = {"topic": "water", "division": "440305001"}


class BulletinsQuery(DivisionQuery):
    """Which ones."""

    topic: str | None = Field(default=None, pattern=f"^{TOPIC}$", examples=["water"])
    since: AwareDatetime | None = Field(
        default=None, description="published, corrected or withdrawn then or later", examples=["2026-11-24T00:00:00Z"]
    )
    after: str | None = Field(default=None, max_length=60, description="`next` of the page before")
    limit: int = Field(default=50, ge=1, le=100, examples=[50])


class FollowForm(BaseModel):
    """What to follow."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": _FOLLOW})

    topic: str = Field(pattern=f"^{TOPIC}$")
    division: str = Field(pattern=DIVISION)


class FollowView(BaseModel):
    """One thing that is followed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    topic: str
    division: str
    division_name: str


class FollowsView(BaseModel):
    """All that one follows."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"follows": [{"id": "water-440305001", **_FOLLOW, "division_name": "南头街道"}]}},
    )

    follows: tuple[FollowView, ...]

    @classmethod
    def of(cls, follows: Sequence[Follow], divisions: Divisions) -> FollowsView:
        """With the names of their areas."""
        return cls(follows=tuple(_view(each, divisions) for each in follows))


class BulletinHandlerBase(PublicHandler):
    """Answers about public notices."""

    def initialize(self, bulletins: Bulletins, shelf: Shelf, base: str) -> None:
        """`base` is the origin that links in feeds begin with ("" = relative links)."""
        self.bulletins = bulletins
        self.base = base
        self.stand_behind(shelf)


class BulletinsHandler(BulletinHandlerBase):
    """/v1/bulletins."""

    async def get(self) -> None:
        """By topic, division, time of change; the Link header leads on."""
        asked = self.asked(BulletinsQuery)
        page = await self.bulletins.page(Asked(asked.topic, asked.division, asked.since, asked.after, asked.limit))
        self.link_next({"after": page.next})
        is_plain = asked == BulletinsQuery()
        self.tell_model(page, self.bulletins.now() + KEPT_FOR, "/v1/bulletins" if is_plain else None)


class BulletinTopicsHandler(BulletinHandlerBase):
    """/v1/bulletins/topics."""

    def get(self) -> None:
        """All of them."""
        self.tell_model(TopicsView.of(self.bulletins.topics), None, "/v1/bulletins/topics")


class BulletinHandler(BulletinHandlerBase):
    """/v1/bulletins/{bulletin}."""

    async def get(self, bulletin: str) -> None:
        """Its newest version and all before."""
        told = await self.bulletins.get(bulletin)
        self.tell_model(told, self.bulletins.now() + KEPT_FOR, f"/v1/bulletins/{bulletin}")


class BulletinFeedHandler(BulletinHandlerBase):
    """/v1/feeds/bulletins/{bulletin_topic}.rss, .atom, .json."""

    def initialize(self, bulletins: Bulletins, shelf: Shelf, base: str, form: str = "rss") -> None:
        """`form` is the end of the path."""
        super().initialize(bulletins, shelf, base)
        self.form = form

    async def get(self, bulletin_topic: str) -> None:
        """The newest of the topic, everywhere or concerning a division."""
        topic = self.bulletins.topics.by_id.get(bulletin_topic)
        if topic is None:
            raise NotFoundError("feed_unknown", zh="没有这个订阅源", en="there is no such feed")
        division = self.asked(DivisionQuery).division
        found = await self.bulletins.feed(topic.id, division)
        path, title = f"/v1/feeds/bulletins/{topic.id}.{self.form}", topic.zh if self.language == "zh" else topic.en
        if division is not None:
            area = self.bulletins.divisions.area(division)
            path = f"{path}?division={normal(division)}"
            title = f"{area.zh}{title}" if self.language == "zh" else f"{title}, {area.en}"
        write, kind = FORMS[self.form]
        self.tell(
            write(Feed(title, path, self.base, self.language), found), kind, self.bulletins.now() + KEPT_FOR, path
        )


class FollowsHandler(ApiHandler):
    """/v1/me/follows."""

    def initialize(self, follows: Follows) -> None:
        """`follows` keeps everybody's own."""
        self.follows = follows

    async def get(self) -> None:
        """All of them."""
        self._show(await self.follows.of(self.caller.id))

    async def put(self) -> None:
        """One more."""
        form = self.given(FollowForm)
        self._show(await self.follows.put(self.caller.id, form.topic, form.division))

    def _show(self, follows: Sequence[Follow]) -> None:
        self.respond(FollowsView.of(follows, self.follows.divisions))


class FollowHandler(ApiHandler):
    """/v1/me/follows/{follow}."""

    def initialize(self, follows: Follows) -> None:
        """`follows` keeps everybody's own."""
        self.follows = follows

    async def delete(self, follow: str) -> None:
        """One less."""
        await self.follows.drop(self.caller.id, follow)
        self.set_status(204)


def _view(follow: Follow, divisions: Divisions) -> FollowView:
    found = divisions.find(follow.division)
    name = found.name if found else follow.division
    return FollowView(id=follow.id, topic=follow.topic, division=follow.division, division_name=name)
