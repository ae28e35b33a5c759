"""Whatever people do, exactly those are asked who have not answered, and each answer is told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from server.domain.application_news import News, asked_key, change_of, idle_words, reminders, ringing, words_of
from server.domain.applications import Application
from server.domain.china import CHINA
from server.domain.co_applicants import (
    ASKED_FOR,
    Agreement,
    Answer,
    answered,
    asked_again,
    is_agreed,
    lapse_at,
    lapsed,
)
from server.domain.wording import Words

AT = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
DEEDS = st.tuples(st.sampled_from(["name", "agree", "decline", "edit", "take_back", "wait"]), st.integers(1, 3))


def application() -> Application:
    return Application(
        id="a" * 32, citizen=100, actor=101, item="x", item_version=1, item_name=Words("事项", "Item"),
        workflow="household", unit="u", division="440305", created_at=AT, changed_at=AT,
    )  # fmt: skip


def done(before: Application, deed: str, who: int, now: datetime) -> Application:
    """The application after something that people do, as the counters would write it."""
    agreements = tuple(before.agreements)
    mine = [each for each in agreements if each.citizen == who and each.may_look]
    if deed == "name" and not mine:
        named = Agreement(who, f"{who:032x}", "household", str(before.version), now)
        kept = [each for each in asked_again(agreements, now) if each.citizen != who]
        agreements = (*kept, named)
    elif deed == "agree":
        agreements = answered(agreements, who, Answer.AGREED, now)
    elif deed == "decline":
        agreements = answered(agreements, who, Answer.DECLINED, now)
    elif deed == "edit":
        agreements = asked_again(agreements, now)
    elif deed == "take_back":
        agreements = tuple(e for e in agreements if e.citizen != who or e.answer is Answer.AGREED)
    elif deed == "wait":
        agreements = lapsed(agreements, now)
    return replace(before, agreements=agreements, version=before.version + 1, changed_at=now)


@given(st.lists(DEEDS, max_size=40))
def test_who_is_asked_and_who_has_not_answered_are_the_same_people(deeds: list[tuple[str, int]]):
    now, found = AT, application()
    asking: set[str] = set()
    told: set[str] = set()
    for deed, who in deeds:
        now += ASKED_FOR if deed == "wait" else timedelta(minutes=1)
        after = done(found, deed, who, now)
        change = change_of(found, after)
        keys = [entry.key for entry in change.entries]
        assert len(set(keys)) == len(keys)
        assert set(change.moot) <= asking
        for entry in change.entries:
            assert entry.key not in told  # a key that is known already would be told to nobody
            told.add(entry.key)
        asking -= set(change.moot)
        asking |= {entry.key for entry in change.entries if entry.template in (News.ASKED, News.ASKED_ENDS)}
        waiting = [each for each in after.agreements if each.is_waiting]
        asked = {key for key in asking if "/asked/" in key}  # the others remind of these before they lapse
        assert asked == {asked_key(after.id, each.question) for each in waiting}
        assert lapse_at(after.agreements) == min((each.until for each in waiting), default=None)
        agreed = bool(after.agreements) and all(each.answer is Answer.AGREED for each in after.agreements)
        assert is_agreed(after.agreements, frozenset({"household"})) is agreed
        found = after


def test_an_answer_is_told_to_the_applicant_and_to_who_acts_for_them_but_not_to_who_gave_it():
    asked = done(application(), "name", 1, AT)
    entries = change_of(asked, done(asked, "agree", 1, AT)).entries
    assert [entry.citizen for entry in entries] == [100, 101]


def test_a_question_says_in_both_languages_until_when_it_waits():
    [agreement] = done(application(), "name", 1, AT).agreements
    words = words_of(agreement)
    assert "12月8日" in words.zh
    assert "2026-12-08" in words.en


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(2020, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001
def test_a_reminder_rings_by_day_soon_and_leaves_a_week(at: datetime):
    rings_at = ringing(at)
    assert 8 <= rings_at.astimezone(CHINA).hour < 20
    assert timedelta(0) <= rings_at - at <= timedelta(hours=12)
    dropped_at, entries = reminders(application(), at)
    assert dropped_at - rings_at == timedelta(days=7)
    assert [entry.citizen for entry in entries] == [100, 101]
    mark = entries[0].about.partition(".")[2]
    words = idle_words(application(), mark)
    assert words is not None
    assert dropped_at.astimezone(CHINA).date().isoformat() in words.en
    assert idle_words(replace(application(), version=2), mark) is None


@given(
    st.text(st.characters(exclude_characters="."), max_size=30)
    | st.from_regex(r"7\.[0-9]{6}x.|7\.[0-9]{4}99[0-9]{2}", fullmatch=True)
)
def test_a_mark_that_is_not_ours_says_nothing_and_breaks_nothing(mark: str):
    assert idle_words(replace(application(), version=7), mark) is None
