"""Finding items as people type, and the windows nearest to them."""

from __future__ import annotations

import time
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.catalogue import Applicant, Mode
from server.domain.catalogue_search import Index, Published, Wanted, terms_of
from server.domain.catalogue_spelling import canonical_of, initials_alike, is_slip_of, synonyms_of
from server.domain.catalogue_windows import Ground, nearest
from tests.domain.catalogue_items import by_id, item, seed

HOME = (22.5405, 113.9400)  # 粤海街道


@cache
def index() -> Index:
    return Index([Published(each, 1) for each in seed().items], seed().ground)


def names(q: str, **more: object) -> list[str]:
    return [each.item.id for each in index().find(Wanted(q=q, **more))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("高龄津贴", "elderly-allowance"),
        ("高龄", "elderly-allowance"),  # as one types on
        ("gljt", "elderly-allowance"),  # first letters of pinyin
        ("GLJT", "elderly-allowance"),
        ("ｇｌｊｔ", "elderly-allowance"),
        ("gaolingjintie", "elderly-allowance"),
        ("gaolingj", "elderly-allowance"),
        ("老人补贴", "elderly-allowance"),  # neither word is in the name
        ("八十岁补贴", "elderly-allowance"),
        ("四证同发", "company-registration"),
        ("开公司", "company-registration"),
        ("上户口", "newborn-hukou"),
        ("宝宝入户", "newborn-hukou"),
        ("老年证", "elderly-card"),
        ("认购", "housing-purchase"),
        ("认租", "housing-rent"),
        ("公租房", "housing-list"),
        ("低保", "minimum-living"),
        ("驾照丢了", "driving-licence-replace"),
        ("passport", "passport-renew"),
        ("unemployment", "unemployment-benefit"),
        ("12345", "hotline"),
        ("补 身份证", "identity-card-replace"),  # both words have to fit
        ("gaoling补贴", "elderly-allowance"),  # pinyin and characters in one
        ("高ling津贴", "elderly-allowance"),
        ("gl补贴", "elderly-allowance"),
        ("gaolingbutie", "elderly-allowance"),  # another word for it, in pinyin
        ("laorenbutie", "elderly-allowance"),
        ("glbt", "elderly-allowance"),  # and by its first letters
        ("gaol", "elderly-allowance"),  # as one types on
        ("高岭津贴", "elderly-allowance"),  # one character wrong
        ("高龄今贴", "elderly-allowance"),
        ("老年优证", "elderly-card-replace"),  # one missing
        ("结昏登记", "marriage-registration"),
        ("四正同发", "company-registration"),
        ("gaolinjintie", "elderly-allowance"),  # one letter missing
        ("gaolongjintie", "elderly-allowance"),
        ("unemploiment", "unemployment-benefit"),
    ],
)
def test_what_people_type_finds_what_they_mean(typed: str, first: str):
    assert names(typed)[0] == first


@pytest.mark.parametrize("whole", ["高龄津贴", "gaolingjintie", "gaolingbutie", "gljt", "glbt", "sbk"])
def test_each_prefix_of_what_is_found_finds_it_too(whole: str):
    found = names(whole)[0]
    assert all(found in names(whole[:n]) for n in range(1, len(whole) + 1))


def test_a_name_with_any_one_character_wrong_is_still_found():
    plain = [each for each in seed().items if terms_of(each.name.zh) == [each.name.zh] and len(each.name.zh) >= 4]
    assert len(plain) > 200
    for each in plain[::3]:
        name = each.name.zh
        for at in range(len(name)):
            assert each.id in names(f"{name[:at]}龘{name[at + 1 :]}"), (name, at)


def test_what_fits_as_it_stands_is_never_pushed_away_by_slips():
    assert "elderly-allowance" in names("高龄津贴")
    assert len(names("高龄津贴")) < len(names("津贴"))
    assert names("公租房") == names("公租房 ")


@given(
    st.text("高龄津贴老年优待证", min_size=4, max_size=8), st.integers(0, 7), st.sampled_from(["wrong", "gone", "more"])
)
def test_one_change_is_a_slip_wherever_it_is(word: str, at: int, change: str):
    at %= len(word)
    typed = {"wrong": word[:at] + "龘" + word[at + 1 :], "gone": word[:at] + word[at + 1 :],
             "more": word[:at] + "龘" + word[at:]}[change]  # fmt: skip
    if len(typed) >= 4:
        assert is_slip_of(typed, f"甲{word}乙")
        assert is_slip_of(typed, f"丙\n{word}\n丁", at_start=True)


def test_two_changes_are_no_slip_and_a_slip_does_not_reach_over_two_titles():
    assert not is_slip_of("高岭今贴", "高龄津贴")
    assert not is_slip_of("高龄津贴", "高龄|津贴")
    assert not is_slip_of("shabao", "\ndanshebao", at_start=True)


def test_other_ways_to_say_a_title_are_bounded():
    group = [f"词{n}" for n in "一二三四五六七八九十"]
    assert len(initials_alike("词一词二词三", synonyms_of([group]))) <= 64
    assert initials_alike("词一", synonyms_of([])) == frozenset()


@pytest.mark.parametrize("typed", ["火星移民", "zzzzzz", "xyzzy123", "!!!", "。"])
def test_what_nobody_offers_finds_nothing(typed: str):
    assert names(typed) == []


def test_without_words_everything_is_found_and_nothing_twice():
    found = names("")
    assert len(found) == len(set(found)) == len(seed().items)


@given(st.text(max_size=80))
def test_any_text_is_answered_with_items_each_at_most_once(q: str):
    found = names(q)
    assert len(found) == len(set(found))


def test_a_moment_is_in_its_own_order_and_other_filters_cut_it():
    moment = next(each for each in seed().ground.moments if each.id == "growing-old")
    assert tuple(names("", moment="growing-old")) == moment.items
    near = names("", moment="growing-old", mode=Mode.NEARBY)
    assert near == [name for name in moment.items if Mode.NEARBY in by_id()[name].modes]


def test_filters_by_unit_theme_applicant_and_place():
    assert {by_id()[name].unit.id for name in names("", unit="tax")} == {"tax"}
    assert {by_id()[name].theme for name in names("", theme="housing")} == {"housing"}
    assert all(Applicant.ORGANISATION in by_id()[n].applicants for n in names("", applicant=Applicant.ORGANISATION))
    assert names("", division="440305001") == names("")  # the city offers it everywhere
    assert names("", division="130100") == []


def test_an_index_made_from_the_one_before_is_the_same_and_knows_what_changed():
    changed = item("elderly-allowance", name={"zh": "尊老金", "en": "Respect money"})
    published = [Published(changed, 2) if each.id == changed.id else Published(each, 1) for each in seed().items]
    again = Index(published, seed().ground, index())
    assert next(each.item.id for each in again.find(Wanted(q="zlj"))) == "elderly-allowance"
    assert [each.item.id for each in again.find(Wanted(q="护照"))] == names("护照")


def test_a_search_is_a_small_part_of_what_may_pass_on_the_loop():
    began = time.perf_counter()
    for typed in ("g", "gl", "gljt", "老", "老人", "老人补贴", "shebao", "passport"):
        names(typed)
    assert (time.perf_counter() - began) / 8 < 0.05  # 20 times what it takes, on a busy machine


def test_synonyms_are_one_word_and_the_longest_counts():
    one = canonical_of([["老年", "老人", "老年人"], ["补贴", "津贴"]])
    assert one("老年人津贴") == one("老人补贴") == "老年补贴"
    assert canonical_of([])("老人") == "老人"


def test_a_query_is_cut_where_the_script_changes():
    assert terms_of("gaoling津贴 12345！") == ["gaoling", "津贴", "12345"]


def test_windows_are_nearest_first_by_the_point_and_only_of_the_items_networks():
    found = nearest(seed().ground.windows, by_id()["elderly-allowance"].networks, point=HOME, division=None)
    assert found[0].window.id == "sz-street-nantou"
    distances = [near.metres or 0 for near in found]
    assert distances == sorted(distances)
    assert all({"street", "community"} & set(near.window.networks) for near in found)


def test_windows_of_a_division_are_those_in_it_and_those_around_it():
    found = nearest(seed().ground.windows, ["hall", "street"], point=None, division="440305")
    assert {near.window.division[:6] for near in found} == {"440305"}
    assert all(near.metres is None for near in found)


def test_every_item_has_a_window_in_its_city():
    for each in seed().items:
        assert nearest(seed().ground.windows, each.networks, point=None, division=None), each.id


def test_an_empty_city_has_an_index_too():
    assert Index((), Ground()).find(Wanted(q="高龄")) == []
