"""A citizen's own offers: listed, opened, declined, accepted with one tap.

Promises. An offer is accepted once, whoever taps how often on however many devices: it names its application before
that exists, the application is begun under that name, and handed in under the offer's name as key. Wherever a process
dies in between, `finish_left` carries on. What a field was filled in from (fact, source, as of when, what for) is
sealed into the application and told to the citizen, as 免提交 does; so is what the tap declares, in the words that the
offer shows. Departments' sources are asked by the rules of 免提交. What
only the citizen can add leaves a draft and an answer that says what. Offers are one's own: nobody accepts for another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Protocol

import structlog

from server.domain.applications import Application
from server.domain.citizens import Account, AccountState, Caller
from server.domain.errors import ConflictError, ForbiddenError, HuiminError, NotFoundError, UnavailableError
from server.domain.offers import OPEN, Offer, State
from server.domain.prefill import declarations
from server.domain.rules import Rule
from server.domain.wording import Words
from server.services.application_steps import Ground
from server.services.applications import DECLARED, KNOWN, Applications, Draft, Made, Seen
from server.services.offer_forms import OfferForms
from server.services.offer_notices import MADE, URGENT, KnownRules, OfferNotices, Telling
from server.services.proactive import Applied
from server.services.sources import Sources
from server.storage.inbox import InboxStore
from server.storage.offers import OfferStore

PATIENCE = timedelta(seconds=30)  # accepting takes less than a second; who does it is thought dead after this
AT_ONCE = 100
TURNS = 5

log = structlog.get_logger()


class People(Protocol):
    """Accounts: `Accounts`."""

    async def get(self, citizen: int) -> Account:
        """One of them."""
        ...


@dataclass(frozen=True, slots=True)
class OfferShelves:
    """What the counter reads and writes."""

    offers: OfferStore
    rules: KnownRules
    inbox: InboxStore
    people: People


@dataclass(frozen=True, slots=True)
class Counters:
    """Whom the counter asks."""

    applications: Applications
    sources: Sources
    notices: OfferNotices
    telling: Telling
    applied: Applied
    forms: OfferForms


@dataclass(frozen=True, slots=True)
class OwnOffer:
    """An offer with its rule, and what it says and asks to declare in both languages."""

    offer: Offer
    rule: Rule
    title: Words
    body: Words
    declares: Sequence[Words] = ()  # what a tap agrees to


@dataclass(frozen=True, slots=True)
class Accepted:
    """An offer and the application that it began; `is_filed`: it has a number."""

    own: OwnOffer
    seen: Seen

    @property
    def is_filed(self) -> bool:
        """Whether it was handed in."""
        return bool(self.seen.application.number)


class Offers:
    """The verbs. `ground` is that of applications."""

    def __init__(self, ground: Ground, shelves: OfferShelves, counters: Counters) -> None:
        self._ground = ground
        self._shelves = shelves
        self._counters = counters

    async def page(
        self, caller: Caller, after: tuple[datetime, str] | None, limit: int
    ) -> tuple[list[OwnOffer], tuple[datetime, str] | None]:
        """The caller's, newest first, and after which one the next page begins; None: this was the last.

        Offers of rules that were stopped are left out, so a page may be shorter.
        """
        found = await self._shelves.offers.page_of(caller.id, after, limit + 1)
        page = found[:limit]
        following = (page[-1].found_at, page[-1].id) if len(found) > limit else None
        return await self._told(page), following

    async def open(self, caller: Caller, offer: str) -> OwnOffer:
        """One of the caller's, which is seen from now on, in the inbox too. NotFoundError `offer_unknown`."""
        own, now = await self._own(caller, offer), self._ground.now()
        if await self._shelves.offers.raise_to([offer], State.SEEN, now):
            for template in (MADE, URGENT):
                await self._shelves.inbox.mark_about(caller.id, template, offer, now)
            own = await self._own(caller, offer)
        return own

    async def decline(self, caller: Caller, offer: str) -> OwnOffer:
        """No, thank you: nothing of it is told any more. Again changes nothing. ConflictError `offer_over`."""
        own = await self._own(caller, offer)
        if not await self._shelves.offers.raise_to([offer], State.DECLINED, self._ground.now()):
            own = await self._own(caller, offer)
            if own.offer.state is not State.DECLINED:
                raise _over(own.offer.state)
        await self._counters.telling.take_back([offer])
        return await self._own(caller, offer)

    async def accept(self, caller: Caller, offer: str, form: Mapping[str, Any]) -> Accepted:
        """Begin its application, filled in from facts and `form`; hand it in if the rule says so (免申即享).

        NotFoundError `offer_unknown`; ConflictError `offer_over`, `offer_applied`, `offer_without_item`. If something
        is missing the draft stays: FaultyInputError `form_faulty`, StepRefusedError `application_incomplete`,
        ConflictError `offer_needs_consent`, `offer_needs_real_name`. The same call completes it later.
        """
        own = await self._own(caller, offer)
        if own.offer.state in OPEN:
            await self._refuse_unfit(own)
            made = self._ground.random(16).hex()
            await self._shelves.offers.accept(offer, made, self._ground.now())
            own = await self._own(caller, offer)
        if not own.offer.application:
            raise _over(own.offer.state)
        try:
            seen = await self._carried_out(caller, own, form)
        except HuiminError as refusal:
            if not isinstance(refusal, UnavailableError):
                await self._shelves.offers.finish(offer)  # decided: what is missing only the citizen can add
            raise
        await self._shelves.offers.finish(offer)
        await self._counters.telling.take_back([offer])
        return Accepted(await self._own(caller, offer), seen)

    async def finish_left(self) -> int:
        """Carry out what somebody accepted and did not live to see done; how many. Every few seconds, by anybody."""
        found = await self._shelves.offers.find_unfinished(self._ground.now() - PATIENCE, AT_ONCE)
        for own in await self._told(found):
            account = await self._account(own.offer.citizen)
            try:
                if account:
                    await self._carried_out(Caller(account, ""), own, {})
            except UnavailableError:
                continue  # the next turn will do
            except HuiminError as refusal:
                log.info("offer_left_as_draft", offer=own.offer.id, why=refusal.code)
            await self._shelves.offers.finish(own.offer.id)
        return len(found)

    async def _account(self, citizen: int) -> Account | None:
        try:
            account = await self._shelves.people.get(citizen)
        except HuiminError:
            return None
        return account if account.state is AccountState.ACTIVE else None

    async def _own(self, caller: Caller, offer: str) -> OwnOffer:
        found = await self._shelves.offers.own(caller.id, offer)
        told = await self._told([found]) if found else []
        if not told:
            raise NotFoundError("offer_unknown", zh="没有这项服务提醒", en="there is no such offer")
        return told[0]

    async def _told(self, offers: Sequence[Offer]) -> list[OwnOffer]:
        rules = await self._shelves.rules.find({(each.rule, each.version) for each in offers})
        known = [(each, rules[each.rule, each.version]) for each in offers if (each.rule, each.version) in rules]
        declares = {rule.item: await self._declares(rule) for _, rule in known if rule.declares}
        return [
            OwnOffer(offer, rule, *self._counters.notices.words(offer, rule), declares.get(rule.item, ()))
            for offer, rule in known
        ]

    async def _declares(self, rule: Rule) -> Sequence[Words]:
        """In the words of the item as it is now; of one that is gone, nothing."""
        try:
            terms = await self._ground.items.terms(rule.item)
        except NotFoundError:
            return ()
        return [Words(each.zh, each.get("en")) for each in declarations(rule, terms.item.form).values()]

    async def _refuse_unfit(self, own: OwnOffer) -> None:
        """Before anything is written: there is something to apply for, in time, and it was not applied for by hand."""
        rule, offer = own.rule, own.offer
        if not rule.item:
            raise ConflictError(
                "offer_without_item", zh="此提醒无需申请，可直接关闭", en="there is nothing to apply for: decline it"
            )
        if offer.expires_at <= self._ground.now():
            raise _over(State.LAPSED)
        if not (await self._ground.items.terms(rule.item)).item.is_offered:
            raise ConflictError("item_closed", zh="此事项暂不能网上申请", en="this cannot be applied for online now")
        if rule.unless_applied and await self._counters.applied.applied_for([offer.citizen], rule.item):
            raise ConflictError(
                "offer_applied", zh="您已申请过此事项，请在“我的办件”查看", en="you have applied: see your applications"
            )

    async def _carried_out(self, caller: Caller, own: OwnOffer, form: Mapping[str, Any]) -> Seen:
        """What accepting leads to, from wherever it stands; again changes nothing."""
        seen = await self._begun(caller, own, form)
        if not own.rule.is_one_tap or not seen.application.is_draft:
            return seen
        refusal = await self._bring(caller, seen)
        try:
            return await self._counters.applications.file(caller, seen.application.id, f"offer/{own.offer.id}")
        except HuiminError as other:
            if refusal and not isinstance(other, UnavailableError):
                raise refusal from other
            raise

    async def _begun(self, caller: Caller, own: OwnOffer, form: Mapping[str, Any]) -> Seen:
        offer, counter = own.offer, self._counters.applications
        if not await self._ground.store.find_many([offer.application]):
            prepared = await self._counters.forms.prepare(caller, offer, own.rule, form)
            made = Made(offer.application, offer.id, prepared.answers)
            await counter.begin(caller, Draft(own.rule.item, form=prepared.form, made=made))
        return await self._merged(caller, offer.application, form)

    async def _merged(self, caller: Caller, application: str, form: Mapping[str, Any]) -> Seen:
        """The draft with what the citizen adds; another device may write it at the same time."""
        counter = self._counters.applications
        for _ in range(TURNS):
            seen = await counter.get(caller, application)
            before = seen.application
            merged = {**before.form, **form}
            if merged == dict(before.form) or not before.is_draft or before.is_between:
                return seen
            if await counter.put(before, counter.edited(before, form=MappingProxyType(merged))):
                return await counter.get(caller, application)
        raise UnavailableError("application_busy", zh="办件正忙，请稍后再试", en="too many at once: try again")

    async def _bring(self, caller: Caller, seen: Seen) -> ConflictError | None:
        """Ask the sources that could replace what is missing; what the citizen could do so that they may be asked."""
        application, refusal = seen.application, None
        for source in _sources(seen, application):
            try:
                await self._counters.sources.bring(caller, application.id, source)
            except ForbiddenError as forbidden:
                refusal = _next_step(forbidden) or refusal
            except (NotFoundError, UnavailableError):
                continue  # the way of papers is open
        return refusal


def _sources(seen: Seen, application: Application) -> list[str]:
    """Sources of required materials that are not there, and of fields that are empty, each once."""
    asked = {each.ref for each in application.brought} | (set(application.answers) - {KNOWN, DECLARED})
    wanted = [each.source.name for each in seen.missing if each.source]
    empty = [each for each in seen.terms.item.form.fields if each.fill and each.id not in application.form]
    wanted += [each.fill.partition(".")[0] for each in empty if each.fill]
    return [name for name in dict.fromkeys(wanted) if name not in asked]


def _next_step(forbidden: ForbiddenError) -> ConflictError | None:
    """What the citizen does first, if it is theirs to do."""
    match forbidden.code:
        case "consent_needed":
            return ConflictError(
                "offer_needs_consent",
                zh=f"草稿已保存。{forbidden.zh}，或上传材料",
                en=f"a draft is there; {forbidden.en}",
            )
        case "real_name_needed":
            return ConflictError(
                "offer_needs_real_name", zh=f"草稿已保存。{forbidden.zh}", en=f"a draft is there; {forbidden.en}"
            )
    return None


def _over(state: State) -> ConflictError:
    told = {
        State.DECLINED: ("您已谢绝此项", "you have declined it"),
        State.LAPSED: ("此项已过期", "it is over"),
        State.DONE: ("此项已办成", "it is done"),
    }
    zh, en = told.get(state, ("此项已处理", "it was answered already"))
    return ConflictError("offer_over", zh=zh, en=en)
