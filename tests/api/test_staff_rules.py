"""The office of rules over HTTP: two persons, one digest, every fault at once, a stop that the engine obeys."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from server.assemble import Assembly
from server.assemble_catalogue import catalogue
from server.assemble_proactive import ProactiveParts, prepare_facts, proactive
from server.domain.china import china_day
from server.domain.facts import Statement, day_number
from server.domain.officers import Role
from tests.api.client import Answer, Client, Officers
from tests.domain.catalogue_items import by_id
from tests.services.desk import officer

RULE: dict[str, Any] = {
    "id": "id-card", "kind": "reminder", "unit": "public-security", "lane": "reminder", "period": "occurrence",
    "title": {"zh": "身份证快到期", "en": "Your ID runs out"},
    "body": {"zh": "将于{date}到期", "en": "On {date}: renew it"},
    "when": [{"fact": "id_card_until", "days": [0, 30]}], "lasts_days": 40, "item": "identity-card-renew",
    "unless_applied": False,
}  # fmt: skip
RULES, ONE = "/v1/staff/rules", "/v1/staff/rules/id-card"
CITIZEN = 2**40 + 5


class Desk:
    """Four officers at the public port."""

    def __init__(self, api: Client, officers: Officers) -> None:
        self.api = api
        self.officers = officers
        self.editor = officers.enter(officer("editor", Role.EDITOR))
        self.approver = officers.enter(officer("approver", Role.APPROVER))
        self.other = officers.enter(officer("other", Role.APPROVER))

    async def drafted(self, **other: Any) -> Answer:
        """The editor writes it."""
        return await self.api("POST", RULES, RULE | other, token=self.editor)

    async def submitted(self, **other: Any) -> Answer:
        """And hands it in."""
        drafted = await self.drafted(**other)
        assert drafted.status == 201, drafted.body
        return await self.api("POST", f"{ONE}/submit", token=self.editor, If_Match=drafted.headers["Etag"])

    async def released(self, **other: Any) -> Answer:
        """And the approver releases it."""
        digest = (await self.submitted(**other)).json["digest"]
        return await self.api("POST", f"{ONE}/release", {"digest": digest}, token=self.approver)


@pytest.fixture
async def desk(assembly: Assembly, api: Client, officers: Officers) -> Desk:
    items = [by_id()["identity-card-renew"], by_id()["elderly-allowance"]]
    await catalogue(assembly).editing.load(items, "load", lambda _: None)
    await prepare_facts(assembly)
    return Desk(api, officers)


@pytest.fixture
def parts(assembly: Assembly) -> ProactiveParts:
    """Another process."""
    return proactive(assembly)


async def turn(parts: ProactiveParts) -> None:
    await parts.engine.schedule()
    await parts.engine.run_open()


async def test_a_rule_is_written_by_one_and_released_by_another(
    desk: Desk, assembly: Assembly, parts: ProactiveParts
) -> None:
    handed_in = await desk.submitted()
    assert (handed_in.json["state"], len(handed_in.json["digest"])) == ("submitted", 64)
    assert await parts.rules.live() == []
    released = await desk.api("POST", f"{ONE}/release", {"digest": handed_in.json["digest"]}, token=desk.approver)
    assert (released.status, released.json["state"]) == (200, "live")
    await asyncio.sleep(1.05)  # the longest that another process may not know it
    assert [(live.rule.id, live.version) for live in await parts.rules.live()] == [("id-card", 1)]
    told = [(e.action, e.object, e.actor) async for e in _log(assembly)]
    assert [action for action, _, _ in told] == ["rule.draft", "rule.submit", "rule.release"]
    assert {name for _, name, _ in told} == {"id-card@1"}
    line = (await desk.api("GET", RULES, token=desk.editor)).json["rules"][0]
    assert (line["force"], line["version"], line.get("desk")) == ("live", 1, None)


async def _log(assembly: Assembly) -> Any:
    for entry in reversed(await assembly.audit.latest("rule")):
        yield entry


async def test_nobody_releases_what_he_wrote_and_no_digest_but_that_of_the_rule(desk: Desk, officers: Officers) -> None:
    both = officers.enter(officer("both", Role.EDITOR, Role.APPROVER))
    drafted = await desk.api("POST", RULES, RULE, token=both)
    handed_in = await desk.api("POST", f"{ONE}/submit", token=desk.editor, If_Match=drafted.headers["Etag"])
    digest = {"digest": handed_in.json["digest"]}
    for token, body, code in (
        (both, digest, "same_person"),
        (desk.editor, digest, "role_missing"),
        (desk.approver, {"digest": "0" * 64}, "digest_changed"),
    ):
        assert (await desk.api("POST", f"{ONE}/release", body, token=token)).code == code
    stale = desk.officers.enter(officer("third", Role.APPROVER), totp_age=timedelta(minutes=6))
    assert (await desk.api("POST", f"{ONE}/release", digest, token=stale)).code == "totp_stale"
    assert (await desk.api("POST", f"{ONE}/release", digest, token=desk.approver)).status == 200


async def test_any_change_voids_what_was_handed_in(desk: Desk) -> None:
    handed_in = await desk.submitted()
    changed = await desk.api(
        "PUT", ONE, RULE | {"lasts_days": 41}, token=desk.editor, If_Match=handed_in.headers["Etag"]
    )
    assert (changed.json["state"], changed.json.get("digest", "")) == ("draft", "")
    late = await desk.api("POST", f"{ONE}/release", {"digest": handed_in.json["digest"]}, token=desk.approver)
    assert (late.status, late.code) == (409, "rule_state")
    stale = await desk.api("PUT", ONE, RULE, token=desk.editor, If_Match=handed_in.headers["Etag"])
    assert (stale.status, stale.code) == (409, "rule_changed")


async def test_of_two_approvers_at_once_one_releases(desk: Desk) -> None:
    digest = {"digest": (await desk.submitted()).json["digest"]}
    answers = await asyncio.gather(
        *(desk.api("POST", f"{ONE}/release", digest, token=token) for token in (desk.approver, desk.other) * 3)
    )
    assert [answer.status for answer in answers].count(200) == 1
    assert {answer.code for answer in answers if answer.status != 200} <= {"rule_changed", "rule_state", "rule_unknown"}


async def test_a_new_version_takes_the_place_of_the_old_one(desk: Desk, parts: ProactiveParts) -> None:
    assert (await desk.released()).status == 200
    assert (await desk.released(lasts_days=50)).json["version"] == 2
    versions = (await desk.api("GET", f"{ONE}/versions", token=desk.approver)).json["versions"]
    assert [(each["version"], each["state"]) for each in versions] == [(2, "live"), (1, "replaced")]
    found = await desk.api("GET", f"{ONE}/diff?before=1&after=2", token=desk.editor)
    assert found.json["changes"] == [{"path": "lasts_days", "before": 40, "after": 50}]
    assert [live.version for live in await parts.rules.live()] == [2]
    assert set(await parts.rules.find([("id-card", 1), ("id-card", 2), ("id-card", 3)])) == {
        ("id-card", 1),
        ("id-card", 2),
    }
    same = await desk.submitted(lasts_days=50)
    assert (same.status, same.code) == (409, "rule_unchanged")


async def test_a_second_draft_is_refused_and_a_returned_one_is_written_on(desk: Desk) -> None:
    handed_in = await desk.submitted()
    assert (await desk.drafted()).code == "rule_drafted"
    note = {"note": "请核对时间窗"}
    back = await desk.api("POST", f"{ONE}/return", note, token=desk.approver, If_Match=handed_in.headers["Etag"])
    assert (back.json["state"], back.json["steps"][-1]["note"]) == ("draft", note["note"])
    again = await desk.api("POST", f"{ONE}/submit", token=desk.editor, If_Match=back.headers["Etag"])
    assert again.json["digest"] == handed_in.json["digest"]


async def test_a_faulty_rule_is_kept_as_a_draft_but_not_handed_in(desk: Desk) -> None:
    bad = RULE | {
        "unit": "nobody",
        "item": "nothing",
        "template": "fancy",
        "consents": ["all"],
        "when": [{"fact": "residence", "is": ["hukou"]}, {"fact": "shoe_size", "at_least": 1}],
    }
    checked = await desk.api("POST", "/v1/staff/rule-checks", bad, token=desk.editor)
    fields = ["unit", "consents", "template", "item", "when[1].fact", "when[0]", "period", "consents"]
    assert [fault["field"] for fault in checked.json["faults"]] == fields
    drafted = await desk.api("POST", RULES, bad, token=desk.editor)
    refused = await desk.api("POST", f"{ONE}/submit", token=desk.editor, If_Match=drafted.headers["Etag"])
    assert (refused.status, refused.code, refused.json["field"]) == (422, "rule_faulty", "unit")
    assert [each["field"] for each in refused.json["errors"]] == fields
    assert "rule-checks" in refused.json["detail"]
    chinese = await desk.api(
        "POST", f"{ONE}/submit", token=desk.editor, If_Match=drafted.headers["Etag"], Accept_Language="zh"
    )
    assert "没有单位" in chinese.json["errors"][0]["detail"]


async def test_what_is_no_rule_is_refused_with_its_field(desk: Desk) -> None:
    for other, field in (
        ({"lane": "red"}, "lane"),
        ({"when": []}, "when"),
        ({"kind": "offer", "item": ""}, ""),
        ({"extra": 1}, "extra"),
    ):
        refused = await desk.drafted(**other)
        assert (refused.status, refused.json.get("field") or "") == (422, field)


async def test_rules_are_the_citys_and_a_districts_officer_has_none_of_them(desk: Desk, officers: Officers) -> None:
    there = officers.enter(officer("district", Role.EDITOR, Role.APPROVER, division="440305"))
    assert (await desk.api("POST", RULES, RULE, token=there)).code == "outside_division"
    assert (await desk.api("GET", RULES, token=there)).code == "outside_division"
    await desk.released()
    for path, body in ((f"{ONE}/stop", {"note": "no reason"}), (f"{ONE}/resume", {"note": "no reason"})):
        assert (await desk.api("POST", path, body, token=there)).code == "outside_division"
    assert (await desk.api("GET", f"{ONE}/versions/9", token=desk.editor)).code == "rule_unknown"


async def test_the_stop_button_takes_everything_back_and_a_resumed_rule_runs_again(
    desk: Desk, assembly: Assembly, parts: ProactiveParts
) -> None:
    await desk.released()
    today = day_number(china_day(assembly.now()))
    await parts.facts.apply([Statement(CITIZEN, "id_card_until", today + 9, "population", assembly.now())])
    await assembly.consents.give(CITIZEN, "service_offers", 1)
    await turn(parts)
    offer = await assembly.db["offers"].find_one({"citizen": CITIZEN})
    assert offer is not None
    assert offer["state"] == "offered"
    stopped = await desk.api("POST", f"{ONE}/stop", {"note": "日期有误，先停"}, token=desk.approver)
    assert (stopped.status, stopped.json["state"]) == (200, "stopped")
    await asyncio.sleep(1.05)
    assert await parts.rules.live() == []
    assert await parts.notices.render("offer.made", [offer["_id"]]) == {}  # nothing is handed off, before any duty
    await parts.office.finish()
    await parts.office.finish()
    assert (await assembly.db["offers"].find_one({"_id": offer["_id"]}))["state"] == "withdrawn"  # type: ignore[index]
    assert await assembly.db["outbox"].count_documents({"citizen": CITIZEN, "state": "waiting"}) == 0
    await assembly.consents.give(CITIZEN + 1, "service_offers", 1)
    await parts.facts.apply([Statement(CITIZEN + 1, "id_card_until", today + 9, "population", assembly.now())])
    await parts.engine.follow()
    assert await assembly.db["offers"].count_documents({"citizen": CITIZEN + 1}) == 0
    again = await desk.api("POST", f"{ONE}/resume", {"note": "已更正"}, token=desk.other)
    assert again.json["state"] == "live"
    await asyncio.sleep(1.05)
    await assembly.db["runs"].update_many(
        {"rule": "id-card"}, {"$set": {"state": "dropped"}}
    )  # as a stop mid-run leaves
    await turn(parts)
    assert await assembly.db["offers"].count_documents({"citizen": CITIZEN + 1}) == 1
