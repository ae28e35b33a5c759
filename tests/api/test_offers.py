"""Offers over HTTP: told, opened, accepted with one tap and once, declined, withdrawn; rehearsed and counted."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from server.app import Services
from server.assemble import Assembly
from server.assemble_own_offers import OfferParts, own_offers
from server.domain.china import china_day
from server.domain.facts import day_number
from server.domain.officers import Role
from server.domain.rules import Rule
from server.services.offer_notices import LIST_PAGE, PAGE
from server.services.offers import PATIENCE
from tests.api.client import Answer, Citizens, Client, Officers
from tests.api.offer_town import BIRTHDAY, CARD, TRUTH, OfferTown, allowance, years_ago
from tests.domain.items import MATERIAL
from tests.services.application_world import officer
from tests.services.desk import officer as city_officer

LIN, CHEN = 2**42 + 71, 2**42 + 72
MINE = "/v1/me/offers"


class Street:
    """Two people at the public port, an engine, and the duties of a worker."""

    def __init__(self, assembly: Assembly, services: Services, api: Client) -> None:
        self.api = api
        self.assembly = assembly
        self.town = OfferTown(assembly)
        self.parts: OfferParts = own_offers(assembly, self.town.parts, services.applications)

    async def offered(self, token: str, citizen: int = LIN) -> str:
        """The path of the one offer of somebody who is eighty today."""
        await self.town.is_eighty(citizen)
        await self.town.run()
        [found] = (await self.api("GET", MINE, token=token)).json["offers"]
        return f"{MINE}/{found['id']}"

    async def post(self, path: str, token: str, body: Any = None, **headers: str) -> Answer:
        """Do something with it."""
        return await self.api("POST", path, body, token=token, **headers)

    async def accept(self, path: str, token: str, **form: Any) -> Answer:
        """Tap."""
        return await self.post(f"{path}/accept", token, {"form": form})

    async def count(self, name: str, **query: Any) -> int:
        """Of a collection."""
        return await self.assembly.db[name].count_documents(query)


@pytest.fixture
async def street(assembly: Assembly, services: Services, api: Client) -> Street:
    return Street(assembly, services, api)


async def test_one_tap_files_what_facts_filled_in_and_the_grant_makes_it_done(
    street: Street, citizens: Citizens, officers: Officers
):
    await street.town.ready()
    api, mine = street.api, await citizens.enter(LIN)
    offer = await street.offered(mine)
    listed = (await api("GET", MINE, token=mine, Accept_Language="en")).json["offers"][0]
    assert (listed["title"], listed["state"], listed["link"]) == (
        "Allowance for over 80", "offered", "/v1/items/elder-allowance",
    )  # fmt: skip
    assert (await api("GET", offer, token=mine)).json["state"] == "seen"

    done = await street.accept(offer, mine)
    assert done.status == 200, done.body
    application = done.json["application"]
    assert (done.json["is_filed"], application["state"], bool(application["number"])) == (True, "submitted", True)
    assert (done.json["offer"]["state"], done.json["offer"]["application"]) == ("accepted", application["id"])
    born = str(china_day(street.assembly.now()).year - 80)
    assert application["form"]["birth_day"].startswith(born)
    [use] = (await api("GET", "/v1/me/uses", token=mine)).json["uses"]
    assert (use["purpose"], use["fields"], use["about"]) == (
        "主动服务预填：您可以领取高龄津贴", ["birth_date"], application["id"],
    )  # fmt: skip
    kept = await street.assembly.applications.find(application["id"])
    assert kept is not None
    known = kept.answers["facts"]["birth_date"]
    assert (known["source"], known["purpose"], known["value"]) == (
        "population", "service_offers", application["form"]["birth_day"],
    )  # fmt: skip
    assert known["as_of"]

    clerk = officers.enter(officer(Role.CLERK))
    step = await street.post(
        f"/v1/staff/applications/{application['id']}/steps", clerk, {"action": "complete"}
    )  # fmt: skip
    assert step.status == 200, step.body
    assert [await street.parts.outcomes.follow() for _ in range(2)] == [1, 0]
    assert (await api("GET", offer, token=mine)).json["state"] == "done"
    await street.parts.outcomes.recount()
    editor = officers.enter(city_officer("editor", Role.EDITOR))
    told = (await api("GET", "/v1/staff/rules/elderly-80/outcomes", token=editor)).json
    reached = {name: told["outcomes"][name] for name in ("found", "offered", "seen", "accepted", "done", "declined")}
    assert reached == {"found": 1, "offered": 1, "seen": 1, "accepted": 1, "done": 1, "declined": 0}
    assert [(run["state"], run["found"], run["new"]) for run in told["runs"]] == [("done", 1, 1)]
    every = (await api("GET", "/v1/staff/rule-outcomes", token=editor)).json["rules"]
    assert every == [told["outcomes"]]


async def test_a_double_tap_on_two_devices_is_one_application_with_one_number(street: Street, citizens: Citizens):
    await street.town.ready()
    phone, tablet = await citizens.enter(LIN), await citizens.enter(LIN)
    offer = await street.offered(phone)
    answers = await asyncio.gather(*(street.accept(offer, token) for token in (phone, tablet) * 4))
    assert {each.status for each in answers} == {200}
    assert len({each.json["application"]["number"] for each in answers}) == 1
    assert await street.count("applications") == 1
    [application] = await street.assembly.applications.all_of(LIN)
    assert [line.action for line in application.timeline] == ["submit"]


async def test_what_only_the_citizen_can_add_leaves_a_draft_and_says_what(street: Street, citizens: Citizens):
    """A declaration is missing, then agreed to with the next tap; the same application is handed in."""
    await street.town.ready([BIRTHDAY], allowance(TRUTH))
    mine = await citizens.enter(LIN)
    offer = await street.offered(mine)
    first = await street.accept(offer, mine)
    assert (first.status, first.code, first.json["field"]) == (422, "form_faulty", "form.truth")
    shown = (await street.api("GET", offer, token=mine)).json
    draft = (await street.api("GET", f"/v1/applications/{shown['application']}", token=mine)).json
    assert (draft["state"], "birth_day" in draft["form"]) == ("draft", True)
    second = await street.accept(offer, mine, truth=True)
    assert (second.status, second.json["is_filed"]) == (200, True)
    assert second.json["application"]["id"] == draft["id"]
    assert await street.count("applications") == 1


async def test_a_source_is_asked_for_what_is_missing_and_who_did_not_consent_is_told(
    street: Street, citizens: Citizens
):
    await street.town.ready([BIRTHDAY], allowance(materials=[MATERIAL | {"is_required": True}]))
    mine = await citizens.enter(LIN)
    offer = await street.offered(mine)
    refused = await street.accept(offer, mine)
    assert (refused.status, refused.code) == (409, "offer_needs_consent")
    await street.assembly.consents.give(LIN, "use_department_data", 1)
    refused = await street.accept(offer, mine)
    assert (refused.status, refused.code) == (409, "offer_needs_real_name")
    assert await street.count("applications", state="draft") == 1


async def test_what_a_dead_process_left_is_carried_out_once(street: Street, citizens: Citizens):
    """Killed after it was accepted, and after it was begun: a duty begins it, and hands it in, and then rests."""
    await street.town.ready()
    mine = await citizens.enter(LIN)
    offer = (await street.offered(mine)).rpartition("/")[2]
    long_ago = street.assembly.now() - PATIENCE
    assert await street.town.parts.offers.accept(offer, "a" * 32, long_ago)
    assert [await street.parts.offers.finish_left() for _ in range(2)] == [1, 0]
    [application] = await street.assembly.applications.all_of(LIN)
    assert (application.id, application.standing.state, application.offer) == ("a" * 32, "submitted", offer)
    await street.assembly.db["offers"].update_one({"_id": offer}, {"$set": {"unfinished_at": long_ago}})
    assert await street.parts.offers.finish_left() == 1
    assert [each.number for each in await street.assembly.applications.all_of(LIN)] == [application.number]
    assert (await street.accept(f"{MINE}/{offer}", mine)).json["application"]["number"] == application.number


async def test_who_declined_is_told_no_more(street: Street, citizens: Citizens):
    await street.town.ready()
    mine = await citizens.enter(LIN)
    offer = await street.offered(mine)
    assert [(await street.post(f"{offer}/decline", mine)).json["state"] for _ in range(2)] == ["declined"] * 2
    assert await street.count("outbox", template="offer.made", state="waiting") == 0
    await street.town.is_eighty(LIN)  # a feed says it again
    await street.town.parts.engine.follow()
    assert await street.count("offers") == await street.count("outbox", template="offer.made") == 1
    late = await street.accept(offer, mine)
    assert (late.status, late.code) == (409, "offer_over")
    assert await street.count("applications") == 0


async def test_a_stopped_rule_has_no_offers(street: Street, citizens: Citizens, officers: Officers):
    await street.town.ready()
    mine, approver = await citizens.enter(LIN), officers.enter(city_officer("approver", Role.APPROVER))
    offer = await street.offered(mine)
    stopped = await street.post("/v1/staff/rules/elderly-80/stop", approver, {"note": "先停一停"})
    assert stopped.status == 200
    await street.town.parts.office.finish()
    assert (await street.api("GET", MINE, token=mine)).json["offers"] == []
    refused = [(await street.accept(offer, mine)).code, (await street.api("GET", offer, token=mine)).code]
    assert refused == ["offer_unknown"] * 2
    assert await street.count("outbox", template="offer.made", state="waiting") == 0


async def test_who_applied_by_hand_meanwhile_applies_once(street: Street, citizens: Citizens):
    await street.town.ready()
    mine = await citizens.enter(LIN)
    offer = await street.offered(mine)
    begun = await street.post(
        "/v1/applications", mine, {"item": "elder-allowance", "form": {"birth_day": "1940-01-01"}}
    )
    one = begun.headers["Location"]
    assert (await street.post(f"{one}/submit", mine, b"", If_Match='"v1"')).status == 200
    refused = await street.accept(offer, mine)
    assert (refused.status, refused.code) == (409, "offer_applied")


async def test_a_reminder_is_done_when_the_card_is_renewed_and_has_nothing_to_accept(
    street: Street, citizens: Citizens
):
    await street.town.ready([CARD])
    mine, today = await citizens.enter(LIN), day_number(china_day(street.assembly.now()))
    await street.town.knows(LIN, id_card_until=today + 5)
    await street.town.run()
    offer = f"{MINE}/{await street.town.offer_of(LIN)}"
    refused = await street.accept(offer, mine)
    assert (refused.status, refused.code) == (409, "offer_without_item")
    await street.town.knows(LIN, id_card_until=today + 3_650)
    await street.town.parts.engine.follow()
    assert (await street.api("GET", offer, token=mine)).json["state"] == "done"
    assert await street.count("outbox", template="offer.made", state="waiting") == 0


async def test_pages_link_on_and_the_inbox_leads_to_the_offer(street: Street, citizens: Citizens):
    rules = [CARD | {"id": f"card-{n}", "lane": "digest" if n else "reminder"} for n in range(5)]
    await street.town.ready(rules)
    api, mine = street.api, await citizens.enter(LIN)
    await street.town.knows(LIN, id_card_until=day_number(china_day(street.assembly.now())) + 5)
    await street.town.run()
    seen, path = [], f"{MINE}?limit=2"
    while path:
        page = await api("GET", path, token=mine)
        seen += [each["rule"] for each in page.json["offers"]]
        path = page.headers["Link"].partition(">")[0].lstrip("<") if "Link" in page.headers else ""
    assert sorted(seen) == [f"card-{n}" for n in range(5)]
    assert len(seen) == 5
    await street.assembly.db["outbox"].update_many({}, [{"$set": {"due_at": "$$NOW"}}])  # it is evening
    items = (await api("GET", "/v1/me/inbox", token=mine)).json["items"]
    by_template = {each["template"]: each for each in items}
    made, digest = by_template["offer.made"], by_template["offer.digest"]
    assert made["page"] == f"{PAGE}{made['about']}"
    assert digest["page"] == LIST_PAGE
    assert (await api("GET", f"{MINE}/{made['about']}", token=mine)).json["rule"] == "card-0"
    items = (await api("GET", "/v1/me/inbox", token=mine)).json["items"]
    assert next(each for each in items if each["template"] == "offer.made")["read_at"] is not None


async def test_a_rehearsal_tells_what_the_run_then_does_and_its_samples_read_of_it(
    street: Street, citizens: Citizens, officers: Officers
):
    await street.town.ready()
    await street.town.is_eighty(LIN)
    await street.town.is_eighty(CHEN)
    await street.town.knows(CHEN + 1, birth_date=years_ago(china_day(street.assembly.now()), 79))
    await street.town.knows(CHEN + 2, birth_date=years_ago(china_day(street.assembly.now()), 85))
    await street.assembly.consents.withdraw(CHEN + 2, "service_offers")
    await street.town.parts.facts.touch([CHEN + 2])
    editor, mine = officers.enter(city_officer("editor", Role.EDITOR)), await citizens.enter(LIN)
    two = await asyncio.gather(*(street.post("/v1/staff/rules/elderly-80/rehearsal", editor) for _ in range(2)))
    assert sorted(each.status for each in two) in ([200, 200], [200, 429])
    told = next(each.json for each in two if each.status == 200)
    assert (told["known"], told["is_complete"]) == (0, True)
    assert await street.count("offers") == 0
    await street.town.run()
    run = await street.assembly.db["runs"].find_one({})
    assert run is not None
    assert (told["found"], told["would_tell"]) == (run["found"], run["new"])
    assert told["would_tell"] == await street.count("offers") == 2
    uses = (await street.api("GET", "/v1/me/uses", token=mine)).json["uses"]
    assert uses[0]["fields"] == ["birth_date"]
    assert uses[0]["purpose"] == "主动服务规则预演：您可以领取高龄津贴"
    assert sum(told["by_channel"].values()) == 2


async def test_everybody_reads_what_counts_and_no_figure_that_tells_who(street: Street, citizens: Citizens):
    await street.town.ready([BIRTHDAY, CARD])
    await street.offered(await citizens.enter(LIN))
    await street.parts.outcomes.recount()
    figures = (await street.api("GET", "/v1/offers/figures", Accept_Language="en")).json
    assert figures["target"] == 446
    by_rule = {each["rule"]: each for each in figures["rules"]}
    assert sorted(by_rule) == ["elderly-80", "id-card"]
    assert (by_rule["elderly-80"]["offered"], by_rule["id-card"]["offered"]) == (None, 0)
    assert by_rule["elderly-80"]["title"] == "Allowance for over 80"


async def test_figures_are_counted_anew_when_their_day_is_due_and_not_before(street: Street):
    """An offer that somebody answers shows after five minutes; older days wait longer; what is erased is gone."""
    await street.town.ready()
    for citizen in (LIN, CHEN):
        await street.town.is_eighty(citizen)
    await street.town.run()
    outcomes, db = street.parts.outcomes, street.assembly.db
    assert [await outcomes.recount() for _ in range(2)] == [1, 0]
    await db["offers"].delete_one({"citizen": CHEN})
    assert (await outcomes.of("elderly-80")).tally.counts["all"] == 2
    found = await db["offer_days"].find_one({})
    assert found is not None
    assert found["due_at"] - street.assembly.now() >= timedelta(minutes=4)
    await db["offer_days"].update_many({}, {"$set": {"due_at": street.assembly.now()}})
    assert await outcomes.recount() == 1
    assert (await outcomes.of("elderly-80")).tally.counts["all"] == 1


def test_a_rule_that_leads_nowhere_is_no_offer():
    with pytest.raises(ValueError, match="an offer names its item"):
        Rule.model_validate(BIRTHDAY | {"item": "", "prefill": {}, "is_one_tap": False})
