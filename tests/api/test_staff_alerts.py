"""The desk over HTTP: what an author and a second person do, and what they may not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from server.assemble import Assembly
from server.domain.alerts.cap import to_cap
from server.domain.officers import Officer, Role
from tests.api.client import Answer, Client, Officers
from tests.services.desk import UNIT, officer, typhoon

HERE = "/v1/staff/alerts"
SHIJIAZHUANG = "130100"


@pytest.fixture
def author(officers: Officers) -> str:
    return officers.enter(officer("author", Role.AUTHOR))


@pytest.fixture
def chief(officers: Officers) -> str:
    return officers.enter(officer("chief", Role.CHIEF))


@pytest.fixture
def form(assembly: Assembly) -> dict[str, Any]:
    """A red typhoon alert for Nanshan, as an author fills it in."""
    return {
        "event": "11B01",
        "colour": "Red",
        "areas": [{"divisions": ["440305"]}],
        "expires_at": (assembly.now() + timedelta(hours=6)).isoformat(),
        "words": {"zh": {"description": "中心附近最大风力14级。"}, "en": {"description": "Force 14 near its centre."}},
    }


async def drafted(api: Client, author: str, form: Any) -> Answer:
    answer = await api("POST", HERE, form, token=author)
    assert answer.status == 201, answer.body
    return answer


async def submitted(api: Client, author: str, form: Any) -> dict[str, Any]:
    draft = await drafted(api, author, form)
    path = draft.headers["Location"]
    answer = await api("POST", f"{path}/submit", {"acknowledged": []}, token=author, If_Match=draft.headers["Etag"])
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


async def released(api: Client, author: str, chief: str, form: Any) -> dict[str, Any]:
    waiting = await submitted(api, author, form)
    path = f"{HERE}/{waiting['identifier']}/release"
    answer = await api("POST", path, {"digest": waiting["digest"]}, token=chief)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


async def test_a_form_becomes_a_cap_message_in_both_languages(api: Client, author: str, form: dict[str, Any]) -> None:
    draft = await drafted(api, author, form)
    told = (await api("GET", draft.headers["Location"], token=author)).json
    assert (told["state"], told["colour"], told["divisions"], told["version"]) == ("draft", "Red", ["440305"], 1)
    assert [info["language"] for info in told["alert"]["info"]] == ["zh-CN", "en-US"]
    assert told["alert"]["sender"] == UNIT.sender


async def test_a_second_person_releases_what_the_author_submitted(
    api: Client, author: str, chief: str, form: dict[str, Any]
) -> None:
    waiting = await submitted(api, author, form)
    path = f"{HERE}/{waiting['identifier']}/release"
    alone = await api("POST", path, {"digest": waiting["digest"]}, token=author)
    assert (alone.status, alone.code) == (403, "role_missing")
    other = await api("POST", path, {"digest": "0" * 64}, token=chief)
    assert (other.status, other.code) == (409, "digest_changed")
    answer = await api("POST", path, {"digest": waiting["digest"]}, token=chief)
    assert (answer.status, answer.json["state"]) == (200, "released")
    again = await api("POST", path, {"digest": waiting["digest"]}, token=chief)
    assert again.json["released_at"] == answer.json["released_at"]


async def test_an_author_with_both_roles_does_not_release_the_own_alert(
    api: Client, officers: Officers, form: dict[str, Any]
) -> None:
    both = officers.enter(officer("both", Role.AUTHOR, Role.CHIEF))
    waiting = await submitted(api, both, form)
    path = f"{HERE}/{waiting['identifier']}/release"
    answer = await api("POST", path, {"digest": waiting["digest"]}, token=both, Accept_Language="en")
    assert (answer.status, answer.code) == (403, "same_person")
    assert answer.json["detail"] == "A second person has to release it."


async def test_a_release_and_a_cancellation_need_a_fresh_one_time_code(
    api: Client, officers: Officers, author: str, chief: str, form: dict[str, Any]
) -> None:
    waiting = await submitted(api, author, form)
    late = officers.enter(officer("chief2", Role.CHIEF), totp_age=timedelta(minutes=6))
    path = f"{HERE}/{waiting['identifier']}"
    refused = await api("POST", f"{path}/release", {"digest": waiting["digest"]}, token=late)
    assert (refused.status, refused.code) == (403, "totp_stale")
    await api("POST", f"{path}/release", {"digest": waiting["digest"]}, token=chief)
    stale_author = officers.enter(officer("author", Role.AUTHOR), totp_age=timedelta(minutes=6))
    refused = await api("POST", f"{path}/cancel", {"note": "台风已远离"}, token=stale_author)
    assert (refused.status, refused.code) == (403, "totp_stale")


async def test_an_edit_of_an_older_version_changes_nothing(api: Client, author: str, form: dict[str, Any]) -> None:
    draft = await drafted(api, author, form)
    path, first = draft.headers["Location"], draft.headers["Etag"]
    changed = await api("PUT", path, form | {"colour": "Orange"}, token=author, If_Match=first)
    assert (changed.status, changed.json["colour"], changed.headers["Etag"]) == (200, "Orange", '"v2"')
    stale = await api("PUT", path, form | {"colour": "Blue"}, token=author, If_Match=first)
    assert (stale.status, stale.code) == (412, "alert_changed")
    missing = await api("PUT", path, form, token=author)
    assert (missing.status, missing.code, missing.json["field"]) == (428, "version_missing", "If-Match")
    assert (await api("GET", path, token=author)).json["colour"] == "Orange"


async def test_validation_tells_every_finding_with_both_texts_and_patches(
    api: Client, author: str, form: dict[str, Any]
) -> None:
    cap = to_cap(typhoon()).replace(b"+08:00</expires>", b"Z</expires>")
    answer = await api("POST", f"{HERE}/validate", cap, token=author, Content_Type="application/xml")
    assert answer.status == 200
    findings = answer.json["findings"]
    assert not answer.json["may_be_submitted"]
    assert all(each["code"] and each["path"] and each["text"] and each["text_en"] for each in findings)
    assert any(each["patch"] for each in findings)
    assert len({each["code"] for each in findings}) > 1
    clean = await api("POST", f"{HERE}/validate", form, token=author)
    assert clean.json["may_be_submitted"]


async def test_a_faulty_alert_is_not_submitted_and_the_rule_is_named(
    api: Client, author: str, form: dict[str, Any], assembly: Assembly
) -> None:
    draft = await drafted(api, author, form | {"expires_at": (assembly.now() - timedelta(hours=1)).isoformat()})
    path = draft.headers["Location"]
    found = (await api("POST", f"{path}/validate", token=author)).json
    assert not found["may_be_submitted"]
    refused = await api("POST", f"{path}/submit", {}, token=author, If_Match='"v1"')
    assert (refused.status, refused.code) == (422, "alert_faulty")
    assert refused.json["field"].startswith("/alert")


async def test_cap_xml_is_drafted_like_a_form(api: Client, author: str) -> None:
    answer = await api("POST", HERE, to_cap(typhoon()), token=author, Content_Type="application/xml; charset=utf-8")
    assert (answer.status, answer.json["colour"], answer.json["state"]) == (201, "Yellow", "draft")


async def test_what_is_no_alert_is_refused_with_the_reason(api: Client, author: str) -> None:
    for data in (b"", b"<note/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><alert>&b;</alert>", b"\xff\xfe\x00"):
        answer = await api("POST", HERE, data, token=author, Content_Type="application/xml")
        assert (answer.status, answer.code) == (422, "alert_faulty"), data


async def test_even_what_is_no_draft_is_validated_to_the_end(api: Client, author: str) -> None:
    answer = await api(
        "POST",
        f"{HERE}/validate",
        b"<alert><identifier>a b</identifier></alert>",
        token=author,
        Content_Type="application/xml",
    )
    assert answer.status == 200
    assert {"status_unfit", "CAP-004"} <= {each["code"] for each in answer.json["findings"]}


async def test_returned_edited_submitted_and_rejected(
    api: Client, author: str, chief: str, form: dict[str, Any]
) -> None:
    waiting = await submitted(api, author, form)
    path = f"{HERE}/{waiting['identifier']}"
    back = await api("POST", f"{path}/return", {"reason": "范围应含福田区"}, token=chief)
    assert back.json["state"] == "returned"
    wider = form | {"areas": [{"divisions": ["440305", "440304"]}]}
    edited = await api("PUT", path, wider, token=author, If_Match=back.headers["Etag"])
    assert edited.json["divisions"] == ["440304", "440305"]
    again = await api("POST", f"{path}/submit", {}, token=author, If_Match=edited.headers["Etag"])
    assert again.json["digest"] != waiting["digest"]
    ended = await api("POST", f"{path}/reject", {"reason": "误报"}, token=chief)
    assert ended.json["state"] == "rejected"
    assert [step["action"] for step in ended.json["steps"]] == [
        "draft", "submit", "return", "edit", "submit", "reject",
    ]  # fmt: skip


async def test_a_downgrade_is_drafted_with_references_and_the_words_that_changed(
    api: Client, author: str, chief: str, form: dict[str, Any]
) -> None:
    first = await released(api, author, chief, form)
    path = f"{HERE}/{first['identifier']}"
    wrong = await api("POST", f"{path}/upgrade", {"colour": "Blue"}, token=author)
    assert (wrong.status, wrong.code, wrong.json["field"]) == (422, "verb_misfit", "colour")
    change = {"colour": "Orange", "words": {"zh": {"description": "减弱"}}}
    draft = await api("POST", f"{path}/downgrade", change, token=author)
    assert (draft.status, draft.json["follows"], draft.json["kind"]) == (201, first["identifier"], "downgrade")
    assert first["identifier"] in draft.json["alert"]["references"]
    assert draft.json["alert"]["info"][0]["description"] == "减弱"


async def test_two_calls_end_an_alert(api: Client, author: str, chief: str, form: dict[str, Any]) -> None:
    first = await released(api, author, chief, form)
    drafted = await api("POST", f"{HERE}/{first['identifier']}/cancel", {"note": "台风已远离"}, token=author)
    assert (drafted.status, drafted.json["state"], drafted.json["findings"]) == (201, "submitted", [])
    path = f"{drafted.headers['Location']}/release"
    ended = await api("POST", path, {"digest": drafted.json["digest"]}, token=chief)
    assert (ended.status, ended.json["state"]) == (200, "released")
    assert (await api("GET", f"{HERE}/{first['identifier']}", token=author)).json["state"] == "cancelled"


async def test_the_list_is_paged_newest_first_and_filtered(
    api: Client, author: str, chief: str, form: dict[str, Any]
) -> None:
    names = [(await drafted(api, author, form)).json["identifier"] for _ in range(3)]
    waiting = (await submitted(api, author, form | {"areas": [{"divisions": ["440304"]}]}))["identifier"]
    first = (await api("GET", f"{HERE}?limit=2", token=chief)).json
    second = (await api("GET", f"{HERE}?limit=2&cursor={first['next']}", token=chief)).json
    assert [each["identifier"] for each in first["alerts"] + second["alerts"]] == [waiting, *reversed(names)]
    assert second["next"] == ""
    by_state = (await api("GET", f"{HERE}?state=submitted&state=returned", token=chief)).json
    assert [each["identifier"] for each in by_state["alerts"]] == [waiting]
    by_division = (await api("GET", f"{HERE}?division=440304", token=chief)).json
    assert [each["identifier"] for each in by_division["alerts"]] == [waiting]
    everything = (await api("GET", f"{HERE}?division=440300", token=chief)).json
    assert len(everything["alerts"]) == 4


async def test_another_citys_officer_sees_and_does_nothing_here(
    api: Client, officers: Officers, author: str, form: dict[str, Any]
) -> None:
    stranger: Officer = officer("stranger", Role.AUTHOR, Role.CHIEF, division=SHIJIAZHUANG)
    token = officers.enter(stranger)
    waiting = await submitted(api, author, form)
    path = f"{HERE}/{waiting['identifier']}"
    assert (await api("GET", HERE, token=token)).json["alerts"] == []
    asked = [
        await api("GET", path, token=token),
        await api("POST", f"{path}/release", {"digest": waiting["digest"]}, token=token),
        await api("POST", f"{path}/return", {"reason": "x"}, token=token),
        await api("PUT", path, form, token=token, If_Match='"v2"'),
    ]
    unknown = await api("GET", f"{HERE}/440304_20260101000000", token=token)
    assert {(answer.status, answer.code) for answer in [*asked, unknown]} == {(404, "alert_unknown")}


async def test_points_may_be_gcj02_and_shapes_are_closed(api: Client, author: str, form: dict[str, Any]) -> None:
    ring = [{"lat": 22.5, "lon": 113.9}, {"lat": 22.5, "lon": 113.95}, {"lat": 22.55, "lon": 113.95}]
    area = {"polygons": [ring], "circles": [{"centre": ring[0], "radius_km": 1.5}]}
    plain = (await drafted(api, author, form | {"areas": [area]})).json
    written = plain["alert"]["info"][0]["area"][0]
    assert written["polygon"] == ["22.5,113.9 22.5,113.95 22.55,113.95 22.5,113.9"]
    assert written["circle"] == ["22.5,113.9 1.5"]
    assert plain["divisions"] == ["440305"]
    moved = (await drafted(api, author, form | {"areas": [area | {"datum": "GCJ-02"}]})).json
    lat, lon = moved["alert"]["info"][0]["area"][0]["polygon"][0].split(" ")[0].split(",")
    assert 0.001 < abs(float(lat) - 22.5) < 0.01
    assert 0.001 < abs(float(lon) - 113.9) < 0.01
