"""What offers say, and how they reach the outbox. A `Subject` of the engine.

Promises. An offer is told once. Offers of the digest's lane are told together: one notice a person and day, which names
every offer that is open when it is sent; an offer that comes too late for today's digest is in the next one. What was
answered, taken back or stopped meanwhile is told to nobody; nor is what needs a consent that was taken back, or a date
that does not count any more.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Protocol

from server.domain.broadcasts import Lane
from server.domain.china import CHINA, china_day
from server.domain.facts import Facts
from server.domain.notices import EVENT, Frame, Notice, frames_of, notice_texts
from server.domain.offers import OPEN, Offer, State, is_founded
from server.domain.outbox import Entry, Standing, Texts
from server.domain.rules import Rule, last_day, said
from server.domain.templates import Registry
from server.domain.wording import Words
from server.storage.facts import FactStore
from server.storage.offers import OfferStore
from server.storage.outbox import Outbox

URGENT, MADE, DIGEST = "offer.urgent", "offer.made", "offer.digest"
DIGEST_AT = time(18, 0)  # in China: after work, before quiet hours
CLOSES_BEFORE = timedelta(minutes=30)  # an offer on its way into a digest may be held up so long and is still in it
NAMED_AT_MOST = 3  # offers that a digest's notice names; it says how many more there are
PAGE, LIST_PAGE = "pages/offer/offer?id=", "pages/offers/offers"


class KnownRules(Protocol):
    """Rules by name and version, whether in force or not."""

    async def find(self, wanted: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], Rule]:
        """Those of these that exist and were not stopped."""
        ...


class Consenting(Protocol):
    """Who agreed to what: `services.consents.Consents`."""

    async def given_by(self, citizens: Collection[int], purpose: str) -> frozenset[int]:
        """Those of these people who agree now."""
        ...


class Telling:
    """Puts offers into the outbox."""

    def __init__(self, offers: OfferStore, outbox: Outbox, now: Callable[[], datetime]) -> None:
        self._offers = offers
        self._outbox = outbox
        self._now = now

    async def tell(self, offers: Sequence[Offer], rule: Rule) -> None:
        """See to it that these are told, those of them that are not yet. May be repeated by anybody."""
        known = await self._offers.find([offer.id for offer in offers])
        left = [offer for offer in known.values() if offer.state is State.FOUND]
        if rule.lane is Lane.DIGEST:
            await self._collect(left)
        else:
            await self._outbox.put([_entry(offer, rule) for offer in left])
        await self._offers.raise_to([offer.id for offer in left], State.OFFERED, self._now())

    async def take_back(self, ids: Collection[str]) -> None:
        """What waits of these is not sent any more."""
        await self._outbox.withdraw_many([key_of(each) for each in ids], self._now())

    async def _collect(self, left: Sequence[Offer]) -> None:
        """Into the next digest of their person that is sure not to have left before they are in it, once for good.

        Its entry waits before it is joined, so who is in a digest is told by it, whoever dies in between.
        """
        day = next_digest_day(self._now() + CLOSES_BEFORE)
        left = [offer for offer in left if not offer.digest]
        while left:
            by_digest: dict[str, list[Offer]] = defaultdict(list)
            for offer in left:
                by_digest[digest_id(offer.citizen, day)].append(offer)
            entries = [_digest_entry(digest, several[0].citizen, day) for digest, several in by_digest.items()]
            await self._outbox.put(entries)
            waiting = await self._outbox.find_waiting([entry.key for entry in entries])
            left = []
            for digest, several in by_digest.items():
                if key_of(digest) in waiting:
                    await self._offers.join_digest([offer.id for offer in several], digest)
                else:
                    left += several
            day += timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sources:
    """What the words are made from, and who may hear them."""

    offers: OfferStore
    rules: KnownRules
    facts: Facts
    consents: Consenting
    held: FactStore


class OfferNotices:
    """The words."""

    def __init__(self, sources: Sources, registry: Registry, now: Callable[[], datetime]) -> None:
        self._offers = sources.offers
        self._rules = sources.rules
        self._facts = sources.facts
        self._consents = sources.consents
        self._held = sources.held
        self._now = now
        self._frames = frames_of(registry)
        wechat = self._frames[EVENT].wechat.id
        self._standing = (
            Standing(URGENT, Lane.TRANSACTIONAL, topic="offer", wechat_template=wechat),
            Standing(MADE, Lane.REMINDER, topic="offer", wechat_template=wechat),
            Standing(DIGEST, Lane.DIGEST, topic="offer", wechat_template=wechat, is_loud=False),
        )

    @property
    def standing(self) -> Sequence[Standing]:
        """An urgent one, the usual one, and the digest."""
        return self._standing

    async def render(self, template: str, abouts: Sequence[str]) -> Mapping[str, Texts]:
        """The words of these offers or digests as they are now; what is moot is left out."""
        if template == DIGEST:
            found = await self._offers.of_digests(abouts)
        else:
            found = {name: [each] for name, each in (await self._offers.find(abouts)).items() if each.state in OPEN}
        rules = await self._rules.find({(o.rule, o.version) for several in found.values() for o in several})
        good = await self._good([o for several in found.values() for o in several], rules)
        texts: dict[str, Texts] = {}
        for about, several in found.items():
            told = [(o, rules[o.rule, o.version]) for o in several if o.id in good]
            if told:
                notice = self._digest(told) if template == DIGEST else self._single(*told[0])
                texts[about] = notice_texts(notice, self._frame(EVENT if template == DIGEST else told[0][1].template))
        return texts

    async def _good(self, offers: Sequence[Offer], rules: Mapping[tuple[str, int], Rule]) -> set[str]:
        """Those of these whose rule is not stopped, whose person agrees to what it needs, and whose date counts."""
        known = [(offer, rules[offer.rule, offer.version]) for offer in offers if (offer.rule, offer.version) in rules]
        asked: dict[str, set[int]] = defaultdict(set)
        for offer, rule in known:
            for purpose in rule.consents:
                asked[purpose].add(offer.citizen)
        given = {purpose: await self._consents.given_by(people, purpose) for purpose, people in asked.items()}
        held = await self._held.find({offer.citizen for offer, _ in known})
        values = {citizen: each.values for citizen, each in held.items()}
        return {
            offer.id
            for offer, rule in known
            if all(offer.citizen in given[each] for each in rule.consents)
            and is_founded(offer, rule, values.get(offer.citizen, {}))
        }

    def words(self, offer: Offer, rule: Rule) -> tuple[Words, Words]:
        """Title and body of one offer."""
        kind = self._facts.by_id[rule.anchor.fact].kind
        title, body = said(rule, offer.occurrence, kind, china_day(self._now()))
        return Words(title.zh, title.en), Words(body.zh, body.en)

    def texts(self, offer: Offer, rule: Rule) -> Texts:
        """What one offer says on every channel."""
        return notice_texts(self._single(offer, rule), self._frame(rule.template))

    def _frame(self, event: str) -> Frame:
        return self._frames.get(event, self._frames[EVENT])

    def _single(self, offer: Offer, rule: Rule) -> Notice:
        title, body = self.words(offer, rule)
        return Notice(title, body, f"{PAGE}{offer.id}", offer.found_at)

    def _digest(self, told: Sequence[tuple[Offer, Rule]]) -> Notice:
        if len(told) == 1:
            return self._single(*told[0])
        titles = [self.words(*each)[0] for each in told]
        more = len(titles) - NAMED_AT_MOST
        zh, en = "；".join(t.zh for t in titles[:NAMED_AT_MOST]), "; ".join(t.en for t in titles[:NAMED_AT_MOST])
        if more > 0:
            zh, en = f"{zh}，另有{more}项", f"{en}, and {more} more"
        title = Words(f"有{len(titles)}项服务与您有关", f"{len(titles)} services for you")
        return Notice(title, Words(zh, en), LIST_PAGE, max(offer.found_at for offer, _ in told))


def key_of(offer_or_digest: str) -> str:
    """Its key in the outbox."""
    return f"offer/{offer_or_digest}"


def digest_id(citizen: int, day: date) -> str:
    """One digest a person and day; who does not know the citizen's secret id cannot guess it."""
    return hashlib.blake2b(f"digest|{citizen}|{day.isoformat()}".encode(), digest_size=16).hexdigest()


def next_digest_day(now: datetime) -> date:
    """The day whose digest has not been due yet."""
    local = now.astimezone(CHINA)
    return local.date() + timedelta(days=local.time() >= DIGEST_AT)


def _entry(offer: Offer, rule: Rule) -> Entry:
    """Its notice, which is over with the last day that it is true: nobody hears of a card that has run out since."""
    last = last_day(rule, offer.occurrence)
    over_at = datetime.combine(last + timedelta(days=1), time(0), CHINA) if last else offer.expires_at
    return Entry(
        key_of(offer.id), URGENT if rule.lane is Lane.TRANSACTIONAL else MADE, offer.citizen, offer.id,
        rule.lane, offer.found_at, min(offer.expires_at, over_at),
    )  # fmt: skip


def _digest_entry(digest: str, citizen: int, day: date) -> Entry:
    due_at = datetime.combine(day, DIGEST_AT, CHINA)
    return Entry(key_of(digest), DIGEST, citizen, digest, Lane.DIGEST, due_at, due_at + timedelta(days=2))
