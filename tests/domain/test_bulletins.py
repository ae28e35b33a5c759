"""Bulletins and follows without a database: who a bulletin is for, what is signed, and feeds that readers accept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from pydantic import ValidationError

from server.domain.bulletins import (
    Bulletin,
    Content,
    Source,
    Version,
    Withdrawal,
    broadcast_id,
    broadcast_of,
    bulletin_of,
    digest,
    fitted,
    load_bulletin_topics,
    marks_about,
    shown_marks,
)
from server.domain.bulletins_json import PublicBulletin, public_bulletin, standing_of
from server.domain.bulletins_writing import Feed, atom, json_feed, rss
from server.domain.delivery import may_not_go
from server.domain.divisions import is_within
from server.domain.errors import ConfigurationError, InvalidInputError
from server.domain.follows import Follow, asked_of, counted_at, follows_in, marks_of
from server.domain.notices import frame_of
from server.storage.catalogues import load_bulletin_topics as load_file
from server.storage.catalogues import load_divisions, load_texts

DIVISIONS, TOPICS = load_divisions(city="440300"), load_file()
FRAME = frame_of(load_texts().templates)
NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)
ID = "4c1f0e9d2b7a48d6a3c5e8f10b6d7a92"
CODES = ("440300", "440305", "440304", "440305001", "440305002", "440305001003", "440304001")
HOSTILE = "<b>停水 & 'x' ]]>\"</b>"


def content(**changes: object) -> Content:
    """A planned outage."""
    fields: dict[str, object] = {
        "topic": "water",
        "title": {"zh": "计划停水", "en": "Planned outage"},
        "body": {"zh": "请储水。", "en": "Store water."},
        "areas": ["440305001"],
        "valid_from": NOW,
        "valid_until": NOW + timedelta(days=2),
    }
    return Content.model_validate(fields | changes)


def bulletin(said: Content | None = None, *, withdrawn: bool = False) -> Bulletin:
    """A published one."""
    version = Version(number=1, content=said or content(), digest="d", published_at=NOW, by="o")
    gone = Withdrawal(at=NOW + timedelta(hours=1), by="o", reason="检修取消") if withdrawn else None
    source = Source(code="44030041600000", name="水务集团")
    return Bulletin(id=ID, source=source, edit=1, edited_at=NOW, versions=(version,), withdrawal=gone)


def public(said: Content | None = None, *, withdrawn: bool = False) -> PublicBulletin:
    return public_bulletin(bulletin(said, withdrawn=withdrawn), DIVISIONS, NOW)


@given(
    follows=st.lists(st.tuples(st.sampled_from(["water", "gas"]), st.sampled_from(CODES)), max_size=5),
    topic=st.sampled_from(["water", "gas"]),
    areas=st.lists(st.sampled_from(CODES), min_size=1, max_size=3),
)
def test_a_bulletin_is_for_exactly_those_who_follow_its_topic_above_or_below_one_of_its_areas(
    follows: list[tuple[str, str]], topic: str, areas: list[str]
):
    own = [Follow(*each) for each in follows]
    marks = marks_of((each, DIVISIONS.lineage(each.division)) for each in own)
    asked = asked_of(topic, [DIVISIONS.lineage(code) for code in areas])
    concerned = {
        each.division
        for each in own
        if each.topic == topic and any(is_within(each.division, a) or is_within(a, each.division) for a in areas)
    }
    assert (not set(marks).isdisjoint(asked)) == bool(concerned)
    counted = counted_at(marks, asked)
    assert counted in concerned if concerned else counted == ""
    assert sorted(follows_in(marks)) == sorted(set(own))


@given(
    areas=st.lists(st.sampled_from(CODES), min_size=1, max_size=3),
    topic=st.sampled_from(["water", "gas", None]),
    where=st.sampled_from([*CODES, ""]),
)
def test_readers_of_a_division_find_what_lies_in_it_or_above_it_and_nothing_else(
    areas: list[str], topic: str | None, where: str
):
    marks = shown_marks(content(areas=areas), DIVISIONS.lineage)
    asked = marks_about(topic, DIVISIONS.lineage(where) if where else ())
    is_there = not where or any(is_within(where, a) or is_within(a, where) for a in areas)
    assert (not set(marks).isdisjoint(asked)) == (is_there and topic in ("water", None))


@given(field=st.sampled_from(["topic", "title", "body", "areas", "valid_from", "valid_until", "link", "note"]))
def test_any_change_of_what_is_signed_changes_the_digest(field: str):
    other = {
        "topic": "gas",
        "title": {"zh": "计划停水。"},
        "body": {"zh": "请储水", "en": "Store water."},
        "areas": ["440305"],
        "valid_from": NOW + timedelta(seconds=1),
        "valid_until": NOW + timedelta(days=1),
        "link": "https://x.example",
        "note": "时间更正",
    }
    assert digest(content(**{field: other[field]}), "u") != digest(content(), "u")
    assert digest(content(), "v") != digest(content(), "u") == digest(content(), "u")


def test_the_broadcast_of_a_version_replaces_those_before_and_can_be_opted_out_of():
    one = bulletin()
    second = one.versions[0].model_copy(update={"number": 2})
    made = broadcast_of(one, second, TOPICS.get("water"), DIVISIONS, FRAME)
    assert made.replaces == (broadcast_id(ID, 1),)
    assert bulletin_of(made.id) == ID
    assert bulletin_of("booking.confirmed-20261124") is None
    assert made.audience.follows == ("water:440305001", "water=440300", "water=440305")
    for channel in ("wechat", "push", "sms"):
        assert may_not_go({"bulletin"}, made.topic, made.lane, channel)
        assert may_not_go({"bulletin:*:sms"}, made.topic, made.lane, channel) == (channel == "sms")
        assert set(made.texts[channel]) == {"zh", "en"}


@pytest.mark.parametrize(
    "changes",
    [
        {"topic": "Water"}, {"title": {"zh": "x" * 61}}, {"title": {"zh": "a\nb"}}, {"body": {"zh": "a\x00b"}},
        {"body": {"zh": "ab\uffff"}}, {"areas": []}, {"areas": ["44"]}, {"areas": ["440305"] * 21}, {"extra": 1},
        {"valid_until": NOW}, {"valid_until": NOW + timedelta(days=800)}, {"valid_from": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"link": "http://x.example"}, {"link": "javascript:alert(1)"}, {"link": "https://x.example/ y"},
    ],
)  # fmt: skip
def test_content_that_cannot_be_right_is_refused(changes: dict[str, object]):
    with pytest.raises(ValidationError):
        content(**changes)


@pytest.mark.parametrize(
    ("changes", "code"), [({"topic": "weather"}, "bulletin_topic_unknown"), ({"areas": ["990000"]}, "division_unknown")]
)
def test_a_topic_or_an_area_that_does_not_exist_is_refused(changes: dict[str, object], code: str):
    with pytest.raises(InvalidInputError, match=code):
        fitted(content(**changes), TOPICS, DIVISIONS)


def test_a_topic_that_stands_twice_or_belongs_to_no_group_is_named():
    topic = {"id": "water", "group": "outage", "lane": "reminder", "zh": "停水", "en": "Water"}
    group = {"id": "outage", "zh": "停水", "en": "Outages"}
    for bad in (
        {"topics": [topic, topic], "groups": [group]},
        {"topics": [topic], "groups": []},
        {"topics": [topic | {"lane": "red"}], "groups": [group]},
        {},
    ):
        with pytest.raises(ConfigurationError, match="bulletin_topics_invalid"):
            load_bulletin_topics(bad)


def test_there_are_six_kinds_of_food_and_drug_notices():
    assert sum(topic.group == "food_drug" for topic in TOPICS.topics) == 6


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_rss_feed_keeps_the_rules_of_rss_2(language: str):
    feed = Feed("停水", "/v1/feeds/bulletins/water.rss", "https://city.example", language)
    said = content(title={"zh": HOSTILE, "en": HOSTILE}, body={"zh": HOSTILE, "en": HOSTILE})
    root = etree.fromstring(rss(feed, [public(said), public(withdrawn=True)]))
    assert (root.tag, root.get("version")) == ("rss", "2.0")
    [channel] = root
    for needed in ("title", "link", "description"):
        assert channel.findtext(needed)
    assert parsedate_to_datetime(channel.findtext("lastBuildDate") or "") == NOW + timedelta(hours=1)
    items = channel.findall("item")
    for item in items:
        assert item.findtext("guid") == f"urn:uuid:{ID[:8]}-{ID[8:12]}-{ID[12:16]}-{ID[16:20]}-{ID[20:]}"
        assert item.find("guid").get("isPermaLink") == "false"  # type: ignore[union-attr]
        assert (item.findtext("link") or "").startswith("https://")
        assert parsedate_to_datetime(item.findtext("pubDate") or "").tzinfo is not None
    assert items[0].findtext("title") == HOSTILE
    assert (items[1].findtext("title") or "").startswith({"zh": "【已撤回】", "en": "[Withdrawn] "}[language])
    assert items[1].findtext("description") == "检修取消"


def test_the_atom_feed_has_what_rfc_4287_asks_for():
    feed = Feed("停水", "/v1/feeds/bulletins/water.atom", "https://city.example", "zh")
    root = etree.fromstring(atom(feed, [public()]))
    names = {"a": "http://www.w3.org/2005/Atom"}
    for path in ("a:id", "a:title", "a:updated", "a:link[@rel='self']/@href", "a:entry/a:id", "a:entry/a:title",
                 "a:entry/a:updated", "a:entry/a:author/a:name", "a:entry/a:link[@rel='alternate']/@href"):  # fmt: skip
        assert root.xpath(f"string({path})", namespaces=names), path
        assert len(root.xpath(path, namespaces=names)) == 1


def test_the_json_feed_has_what_version_1_1_asks_for():
    feed = Feed("停水", "/v1/feeds/bulletins/water.json", "https://city.example", "en")
    told = orjson.loads(json_feed(feed, [public()]))
    assert told["version"] == "https://jsonfeed.org/version/1.1"
    assert told["title"]
    assert told["feed_url"] == "https://city.example/v1/feeds/bulletins/water.json"
    [item] = told["items"]
    assert item["id"]
    assert item["content_text"] == "Store water."
    assert datetime.fromisoformat(item["date_published"]) == NOW


def test_the_same_bulletins_make_the_same_bytes():
    feed = Feed("停水", "/x", "", "zh")
    for write in (rss, atom, json_feed):
        assert write(feed, [public()]) == write(feed, [public()]) != write(feed, [public(withdrawn=True)])


def test_one_holds_until_its_time_is_over_or_it_is_withdrawn():
    end = NOW + timedelta(days=2)
    assert standing_of(bulletin(), end - timedelta(seconds=1)) == "current"
    assert standing_of(bulletin(), end) == "expired"
    assert standing_of(bulletin(withdrawn=True), NOW) == "withdrawn"
