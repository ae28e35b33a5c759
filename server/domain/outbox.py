"""Personal notices: what waits in the outbox, and how a batch of it becomes pages. Pure.

A personal notice is about one thing (a booking, an offer): its page carries that thing's id, and the words are made
when it is sent. Notices of one template share one standing broadcast per day of China. The pages of a batch follow from
the batch alone, so whoever finishes an interrupted batch comes to the same pages with the same ids.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from server.domain import ranks
from server.domain.broadcasts import (
    CHANNELS,
    PAGE_SIZE,
    UNREACHABLE,
    Audience,
    Broadcast,
    Lane,
    Policy,
    range_id,
    range_of,
)
from server.domain.china import CHINA
from server.domain.pages import Page, PageState

LANES = (Lane.TRANSACTIONAL, Lane.REMINDER, Lane.DIGEST)
RANGES = 16  # of a standing broadcast: receipts and sums look at a sixteenth of a busy day's small pages
LASTS = timedelta(days=2)  # beyond its day; receipts are looked for among the broadcasts of three days
DUE_AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
MAX_ID = 120  # characters of a key or of a thing's id
KEPT = timedelta(days=90)  # after it was due: as long as a person finds it in the inbox


@dataclass(frozen=True, slots=True)
class Standing:
    """One template of personal notices. Its broadcasts stand for a day and are filled from the outbox.

    `wechat_template`: the one filed template that its WeChat notices use, for the forecast of grants.
    """

    template: str  # family.name, e.g. "booking.confirmed"
    lane: Lane
    topic: str  # what a citizen may opt out of
    wechat_template: str
    policy: Policy = Policy.LADDER
    order: tuple[str, ...] = CHANNELS
    wait_s: float = 120.0
    is_loud: bool = True
    always_rings: bool = False

    def broadcast(self, day: str, now: datetime) -> Broadcast:
        """The standing broadcast of a day (YYYYMMDD in China)."""
        name = f"{self.template}-{day}"
        begins_at = datetime.strptime(day, "%Y%m%d").replace(tzinfo=CHINA)
        return Broadcast(
            id=name,
            kind="standing",
            subject=self.template,
            chain=name,
            topic=self.topic,
            lane=self.lane,
            policy=self.policy,
            order=self.order,
            wait_s=self.wait_s,
            is_loud=self.is_loud,
            always_rings=self.always_rings,
            texts={"wechat": {"zh": {"template_id": self.wechat_template}}},
            audience=Audience(citizens=()),
            ranges=RANGES,
            released_at=now,
            expires_at=(begins_at + timedelta(days=1) + LASTS).astimezone(UTC),
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One notice that waits. `key` makes it happen once; `about` is the thing's id. Times are aware."""

    key: str
    template: str
    citizen: int
    about: str
    lane: Lane
    due_at: datetime
    expires_at: datetime

    def __post_init__(self) -> None:
        """ValueError: a caller's mistake."""
        if self.lane not in LANES:
            raise ValueError(f"{self.lane} is no lane of personal notices")
        if not (0 < len(self.key) <= MAX_ID and 0 < len(self.about) <= MAX_ID):
            raise ValueError(f"key and about have 1 to {MAX_ID} characters")
        if self.due_at >= self.expires_at:
            raise ValueError("it would be late before it is due")


def item_of(key: str) -> str:
    """What an entry is called outside, where its key is nobody's business: 32 hexadecimal digits."""
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a claimed entry goes: decided once per batch, because addresses may change between two attempts."""

    key: str
    citizen: int
    about: str
    expires_at: datetime
    division: int
    channels: tuple[str, ...]


def template_of(broadcast: str) -> str:
    """The template of a standing broadcast; "" for another name.

    >>> template_of("booking.confirmed-20261124")
    'booking.confirmed'
    """
    template, _, day = broadcast.rpartition("-")
    return template if len(day) == len("YYYYMMDD") and day.isascii() and day.isdigit() else ""


def day_of(now: datetime) -> str:
    """The day of China as YYYYMMDD."""
    return f"{now.astimezone(CHINA):%Y%m%d}"


def arrange(batch: str, broadcast: Broadcast, places: Sequence[Place]) -> list[Page]:
    """The pages of a batch: ascending ids, a person at most once per page, one time of expiry (to the minute)."""
    groups: dict[tuple[str, int, int, int], list[Place]] = {}
    seen: Counter[tuple[str, int, int]] = Counter()
    for place in sorted(places, key=lambda p: (p.citizen, p.key)):
        minute = int(place.expires_at.timestamp()) // 60
        for channel in place.channels:
            seen[channel, place.citizen, minute] += 1
            nth = seen[channel, place.citizen, minute]
            groups.setdefault((channel, range_of(place.citizen, broadcast.ranges), minute, nth), []).append(place)
    chunks = [
        (channel, number, group[start : start + PAGE_SIZE])
        for (channel, number, _, _), group in sorted(groups.items(), key=lambda item: item[0])
        for start in range(0, len(group), PAGE_SIZE)
    ]
    return [
        _page(f"{batch}.{n}", broadcast, channel, number, chunk) for n, (channel, number, chunk) in enumerate(chunks)
    ]


def _page(tail: str, broadcast: Broadcast, channel: str, number: int, chunk: Sequence[Place]) -> Page:
    is_listed_only = channel == UNREACHABLE
    return Page(
        id=f"{broadcast.id}/{channel}/{number:05d}/{tail}",
        broadcast=broadcast.id,
        channel=channel,
        number=number,
        lane=broadcast.lane,
        state=PageState.DONE if is_listed_only else PageState.OPEN,
        to=[place.citizen for place in chunk],
        divisions=[place.division for place in chunk],
        not_before=DUE_AT_ONCE,
        expires_at=min(broadcast.expires_at, *(place.expires_at for place in chunk)),
        outcomes=[ranks.REFUSED if is_listed_only else ranks.PLANNED] * len(chunk),
        about=[place.about for place in chunk],
    )


def stale_ranges(pages: Sequence[Page]) -> list[str]:
    """The ranges whose sums these pages change."""
    return sorted({range_id(page.broadcast, page.number) for page in pages})


Texts = Mapping[str, Mapping[str, Mapping[str, object]]]  # channel -> language -> what `texts.render` gives
