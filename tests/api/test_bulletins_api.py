"""Public notices over HTTP: two officers, readers, feeds with their ETags, follows, the inbox, and bad input."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from lxml import etree

from server.assemble import Assembly
from server.domain.officers import Officer, Role, Unit
from tests.api.client import Answer, Citizens, Client, Officers

UNIT = Unit(code="44030041600000", name="深圳市水务集团", sender="water@sz.example", division="440300")
PATH = "/v1/staff/bulletins"
READER = 2**41 + 7
Enter = Callable[..., str]


@pytest.fixture
def enter(officers: Officers) -> Enter:
    """Let an officer in: the token."""

    def entered(person: str, *roles: Role, division: str = "440300") -> str:
        return officers.enter(
            Officer(
                id=f"id-{person}", person=person, name=person, roles=frozenset(roles), unit=UNIT, division=division,
                events=(),
            )
        )  # fmt: skip

    return entered


@pytest.fixture
def editor(enter: Enter) -> str:
    return enter("editor", Role.EDITOR)


@pytest.fixture
def approver(enter: Enter) -> str:
    return enter("approver", Role.APPROVER)


@pytest.fixture
async def reader(citizens: Citizens) -> str:
    return await citizens.enter(READER)


def form(assembly: Assembly, *areas: str, **changes: Any) -> dict[str, Any]:
    now = assembly.now()
    return {
        "topic": "water",
        "title": {"zh": "计划停水 <&>", "en": "Water outage <&>"},
        "body": {"zh": "请提前储水。", "en": "Store water."},
        "areas": areas or ["440305001000"],
        "valid_from": now.isoformat(),
        "valid_until": (now + timedelta(days=2)).isoformat(),
    } | changes


async def submitted(api: Client, editor: str, said: dict[str, Any]) -> dict[str, Any]:
    """Drafted and handed in."""
    drafted = await api("POST", PATH, said, token=editor)
    assert drafted.status == 201, drafted.body
    return await resubmitted(api, editor, drafted)


async def resubmitted(api: Client, editor: str, written: Answer) -> dict[str, Any]:
    path = f"{PATH}/{written.json['id']}/submit"
    handed = await api("POST", path, b"", token=editor, If_Match=written.headers["Etag"])
    assert handed.status == 200, handed.body
    return dict(handed.json)


async def publish(api: Client, token: str, handed: dict[str, Any]) -> Answer:
    return await api("POST", f"{PATH}/{handed['id']}/publish", {"digest": handed["draft"]["submitted"]}, token=token)


async def published(api: Client, editor: str, approver: str, said: dict[str, Any]) -> str:
    answer = await publish(api, approver, await submitted(api, editor, said))
    assert answer.status == 200, answer.body
    return str(answer.json["id"])


async def listed(api: Client, query: str = "") -> list[str]:
    answer = await api("GET", f"/v1/bulletins{query}", Accept_Language="zh")
    assert answer.status == 200, answer.body
    return [each["id"] for each in answer.json["bulletins"]]


async def test_two_persons_publish_and_the_public_reads_it(
    api: Client, assembly: Assembly, editor: str, approver: str
) -> None:
    handed = await submitted(api, editor, form(assembly))
    assert (await api("GET", f"/v1/bulletins/{handed['id']}")).code == "bulletin_unknown"
    answer = await publish(api, approver, handed)
    assert (answer.status, answer.json["state"], len(answer.json["broadcasts"])) == (200, "published", 1)
    told = (await api("GET", f"/v1/bulletins/{handed['id']}")).json["bulletin"]
    assert told["title"]["zh"] == "计划停水 <&>"
    assert told["source"]["zh"] == UNIT.name
    assert [area["division"] for area in told["areas"]] == ["440305001"]
    actions = [d["action"] async for d in assembly.db["audit"].find({"stream": "bulletin"}).sort("seq", 1)]
    assert actions == ["bulletin.draft", "bulletin.submit", "bulletin.publish"]


async def test_nobody_publishes_what_they_had_a_hand_in(
    api: Client, assembly: Assembly, editor: str, enter: Enter
) -> None:
    both = enter("both", Role.EDITOR, Role.APPROVER)
    drafted = await api("POST", PATH, form(assembly), token=both)
    path = f"{PATH}/{drafted.json['id']}"
    changed = await api("PUT", path, form(assembly), token=editor, If_Match=drafted.headers["Etag"])
    handed = await resubmitted(api, editor, changed)
    assert (await publish(api, both, handed)).code == "same_person"


async def test_any_change_voids_what_was_handed_in(api: Client, assembly: Assembly, editor: str, approver: str) -> None:
    handed = await submitted(api, editor, form(assembly))
    path, etag = f"{PATH}/{handed['id']}", f'"v{handed["edit"]}"'
    changed = await api("PUT", path, form(assembly, "440305002"), token=editor, If_Match=etag)
    assert changed.json["draft"]["submitted"] == ""
    assert (await publish(api, approver, handed)).code == "digest_changed"
    again = await resubmitted(api, editor, changed)
    assert (await publish(api, approver, handed)).code == "digest_changed"
    assert (await publish(api, approver, again)).status == 200
    late = await api("PUT", path, form(assembly), token=editor, If_Match=etag)
    assert late.code == "bulletin_changed"


async def test_a_returned_draft_has_to_be_handed_in_again(
    api: Client, assembly: Assembly, editor: str, approver: str
) -> None:
    handed = await submitted(api, editor, form(assembly))
    path, etag = f"{PATH}/{handed['id']}", f'"v{handed["edit"]}"'
    back = await api("POST", f"{path}/return", {"reason": "时间不对"}, token=approver, If_Match=etag)
    assert back.status == 200, back.body
    assert (await publish(api, approver, handed)).code == "digest_changed"
    twice = await api("POST", f"{path}/return", {"reason": "时间不对"}, token=approver, If_Match=back.headers["Etag"])
    assert twice.code == "bulletin_state"


async def test_a_correction_says_what_it_corrects_and_leaves_the_old_version_in_sight(
    api: Client, assembly: Assembly, editor: str, approver: str
) -> None:
    id_ = await published(api, editor, approver, form(assembly))
    path = f"{PATH}/{id_}"
    seen = await api("GET", path, token=editor)
    silent = await api("PUT", path, form(assembly), token=editor, If_Match=seen.headers["Etag"])
    refused = await api("POST", f"{path}/submit", b"", token=editor, If_Match=silent.headers["Etag"])
    assert (refused.status, refused.code) == (422, "note_missing")
    said = form(assembly, note="停水改为26日", title={"zh": "停水改期", "en": ""})
    handed = await resubmitted(api, editor, await api("PUT", path, said, token=editor, If_Match=silent.headers["Etag"]))
    assert (await publish(api, approver, handed)).json["versions"][1]["number"] == 2
    whole = (await api("GET", f"/v1/bulletins/{id_}?", token="")).json
    assert [past["title"]["zh"] for past in whole["history"]] == ["停水改期", "计划停水 <&>"]
    assert (whole["bulletin"]["version"], whole["bulletin"]["note"]) == (2, "停水改为26日")


async def test_a_withdrawn_one_says_so_in_lists_and_feeds_and_cannot_be_changed(
    api: Client, assembly: Assembly, editor: str, approver: str
) -> None:
    id_ = await published(api, editor, approver, form(assembly))
    reason = {"reason": "检修取消"}
    gone = await api("POST", f"{PATH}/{id_}/withdraw", reason, token=approver)
    assert (gone.status, gone.json["state"]) == (200, "withdrawn")
    assert (await api("POST", f"{PATH}/{id_}/withdraw", reason, token=approver)).status == 200
    [shown] = (await api("GET", "/v1/bulletins?topic=water")).json["bulletins"]
    assert (shown["standing"], shown["reason"]) == ("withdrawn", "检修取消")
    feed = await api("GET", "/v1/feeds/bulletins/water.rss", Accept_Language="zh")
    assert etree.fromstring(feed.body).findtext("channel/item/title") == "【已撤回】计划停水 <&>"
    changed = await api("PUT", f"{PATH}/{id_}", form(assembly), token=editor, If_Match=gone.headers["Etag"])
    assert changed.code == "bulletin_state"


async def test_what_is_over_leaves_lists_and_feeds_but_can_be_read(
    api: Client, assembly: Assembly, editor: str, approver: str
) -> None:
    id_ = await published(api, editor, approver, form(assembly))
    assert await listed(api, "?topic=water") == [id_]
    past = assembly.now() - timedelta(seconds=1)
    await assembly.db["bulletins"].update_one(
        {"_id": id_},
        {"$set": {"until": past, "versions.0.content.valid_until": past.isoformat(),
                  "versions.0.content.valid_from": (past - timedelta(days=1)).isoformat()}},
    )  # fmt: skip
    assert await listed(api, "?topic=water") == []
    assert orjson.loads((await api("GET", "/v1/feeds/bulletins/water.json")).body)["items"] == []
    assert (await api("GET", f"/v1/bulletins/{id_}")).json["bulletin"]["standing"] == "expired"


async def test_lists_are_asked_by_topic_division_and_time_in_pages(
    api: Client, assembly: Assembly, editor: str, approver: str
) -> None:
    made = {
        area: await published(api, editor, approver, form(assembly, area))
        for area in ("440305", "440305001", "440304", "440300")
    }
    gas = await published(api, editor, approver, form(assembly, "440305001", topic="gas"))
    by_area = {made[area] for area in ("440305", "440305001", "440300")}
    assert set(await listed(api, "?division=440305001003&topic=water")) == by_area
    assert set(await listed(api, "?division=440305")) == {*by_area, gas}
    assert await listed(api, "?topic=gas") == [gas]
    since = quote((await api("GET", f"/v1/bulletins/{gas}")).json["bulletin"]["changed_at"])
    assert await listed(api, f"?since={since}") == [gas]
    seen, path = [], "/v1/bulletins?limit=2"
    while path:
        answer = await api("GET", path)
        seen += [each["id"] for each in answer.json["bulletins"]]
        path = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert seen == [gas, *reversed(made.values())]


async def test_a_feed_is_of_a_topic_and_a_division_and_not_sent_to_who_has_it(
    api: Client, assembly: Assembly, editor: str, approver: str
) -> None:
    await published(api, editor, approver, form(assembly, "440305001"))
    where = {"": True, "?division=440305": True, "?division=440304": False, "?division=440300": True}
    kinds = {"rss": "application/rss+xml", "atom": "application/atom+xml", "json": "application/feed+json"}
    for (form_, kind), (query, is_in) in product(kinds.items(), where.items()):
        path = f"/v1/feeds/bulletins/water.{form_}{query}"
        answer = await api("GET", path, Accept_Language="en")
        assert (answer.status, answer.headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
        assert (b"Store water" in answer.body) == is_in
        again = await api("GET", path, Accept_Language="en", If_None_Match=answer.headers["Etag"])
        assert (again.status, again.body) == (304, b"")
    assert (await api("GET", "/v1/feeds/bulletins/weather.rss")).code == "feed_unknown"


async def test_follows_are_kept_once_bounded_and_dropped(api: Client, assembly: Assembly, reader: str) -> None:
    async def put(topic: str, division: str) -> Answer:
        return await api("PUT", "/v1/me/follows", {"topic": topic, "division": division}, token=reader)

    assert (await put("water", "440305001000")).status == 200
    assert [each["id"] for each in (await put("water", "440305001")).json["follows"]] == ["water-440305001"]
    bad = (("weather", "440305"), ("water", "990000"), ("water", "44"), ("water$", "440305"))
    assert [(await put(*each)).status for each in bad] == [422] * 4
    streets = assembly.divisions.children("440306")
    more = [(topic, street) for topic in ("gas", "power", "school", "traffic", "community") for street in streets]
    for topic, street in more[:39]:
        assert (await put(topic, street)).status == 200
    assert (await put(*more[40])).code == "follows_full"
    assert (await api("DELETE", "/v1/me/follows/water-440305001", token=reader)).status == 204
    assert (await api("DELETE", "/v1/me/follows/water-440305001", token=reader)).code == "follow_unknown"
    assert len((await api("GET", "/v1/me/follows", token=reader)).json["follows"]) == 39


async def test_the_inbox_shows_what_one_follows_until_it_is_read_and_again_when_corrected(
    api: Client, assembly: Assembly, editor: str, approver: str, reader: str
) -> None:
    await api("PUT", "/v1/me/follows", {"topic": "water", "division": "440305"}, token=reader)
    id_ = await published(api, editor, approver, form(assembly, "440305001"))
    await published(api, editor, approver, form(assembly, "440304"))
    await published(api, editor, approver, form(assembly, "440305", topic="gas"))

    async def inbox() -> tuple[list[str], int, Any]:
        page = (await api("GET", "/v1/me/inbox", token=reader)).json
        shown = page["bulletins"]
        return [each["bulletin"]["id"] for each in shown], page["unread"]["bulletins"], shown[0]["read_at"]

    assert await inbox() == ([id_], 1, None)
    assert (await api("POST", f"/v1/me/inbox/bulletins/{id_}/read", token=reader)).status == 204
    names, unread, read_at = await inbox()
    assert (names, unread) == ([id_], 0)
    assert datetime.fromisoformat(read_at) <= assembly.now()
    unknown = await api("POST", f"/v1/me/inbox/bulletins/{'0' * 32}/read", token=reader)
    assert unknown.code == "bulletin_unknown"
    seen = await api("GET", f"{PATH}/{id_}", token=editor)
    said = form(assembly, "440305001", note="改期")
    changed = await api("PUT", f"{PATH}/{id_}", said, token=editor, If_Match=seen.headers["Etag"])
    await publish(api, approver, await resubmitted(api, editor, changed))
    assert (await inbox())[1:] == (1, None)


async def test_officers_act_within_their_division_and_role(
    api: Client, assembly: Assembly, editor: str, approver: str, enter: Enter
) -> None:
    near = enter("near", Role.EDITOR, division="440305")
    assert (await api("POST", PATH, form(assembly, "440305", "440304"), token=near)).code == "outside_division"
    assert (await api("POST", PATH, form(assembly), token=approver)).status == 403
    handed = await submitted(api, editor, form(assembly, "440304"))
    path = f"{PATH}/{handed['id']}"
    assert (await api("GET", path, token=near)).code == "bulletin_unknown"
    assert (await api("GET", PATH, token=near)).json["bulletins"] == []
    aside = enter("aside", Role.APPROVER, division="440305")
    assert (await publish(api, aside, handed)).code == "bulletin_unknown"
    assert (await publish(api, editor, handed)).status == 403
    assert [each["id"] for each in (await api("GET", PATH, token=editor)).json["bulletins"]] == [handed["id"]]


BAD_CONTENT: tuple[dict[str, Any], ...] = (
    {"topic": "weather"}, {"areas": ["990000"]}, {"areas": []}, {"title": {"zh": "a\tb"}}, {"link": "ftp://x"},
    {"valid_until": "2020-01-01T00:00:00Z"}, {"valid_from": "yesterday"}, {"extra": 1}, {"body": {"zh": "x" * 4001}},
)  # fmt: skip
BAD_QUERIES = ("topic=weather", "topic=%24ne", "division=44", "division=990000", "since=x", "after=1", "limit=0", "x=1")


async def test_content_that_cannot_be_right_is_a_problem_that_says_so(
    api: Client, assembly: Assembly, editor: str
) -> None:
    for changes in BAD_CONTENT:
        answer = await api("POST", PATH, form(assembly, **changes), token=editor)
        assert (answer.status, bool(answer.code)) == (422, True), changes


async def test_what_is_over_cannot_be_handed_in(api: Client, assembly: Assembly, editor: str) -> None:
    now = assembly.now()
    times = {"valid_from": (now - timedelta(days=2)).isoformat(), "valid_until": (now - timedelta(days=1)).isoformat()}
    drafted = await api("POST", PATH, form(assembly, **times), token=editor)
    path = f"{PATH}/{drafted.json['id']}/submit"
    refused = await api("POST", path, b"", token=editor, If_Match=drafted.headers["Etag"])
    assert refused.code == "bulletin_over"


async def test_a_query_that_cannot_be_right_is_a_problem_that_says_so(api: Client) -> None:
    for query in BAD_QUERIES:
        answer = await api("GET", f"/v1/bulletins?{query}")
        assert (answer.status, bool(answer.code)) == (422, True), query


async def test_topics_are_told_with_their_names_in_both_languages(api: Client) -> None:
    told = (await api("GET", "/v1/bulletins/topics")).json
    assert {"id": "gas", "group": "outage", "lane": "reminder", "zh": "停气", "en": "Gas outages"} in told["topics"]
