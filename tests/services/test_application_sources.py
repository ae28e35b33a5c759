"""免提交: a source is asked only by rule, consent and verified name; what it said is evidence; papers always remain."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from channels.sandbox.registers import Person, made_up
from server.domain.applications import Terms
from server.domain.errors import ForbiddenError, NotFoundError, UnavailableError
from server.domain.real_name import RealName
from server.domain.sources import Answer, Policy, Question, SourceRule, filled_by, question_of
from server.storage.catalogue_files import read_seed
from server.storage.catalogues import load_source_policy, load_workflows
from server.storage.mongo import Database
from tests.domain.items import FORM, item
from tests.domain.numbers import id_number
from tests.services.application_world import CLERK, NOW, OWNER, Town, caller

PURPOSE = "use_department_data"
SOURCE = {
    "name": "population",
    "title": {"zh": "人口库", "en": "Population register"},
    "fields": ["name", "id_number"],
    "purpose": "identity_check",
}
MATERIAL: dict[str, Any] = {"id": "id_card", "name": {"zh": "身份证", "en": "ID card"}, "source": SOURCE}
FILLED = {"fields": [{**FORM["fields"][0], "fill": "population.name"}, *FORM["fields"][1:]]}


@pytest.fixture
def town(db: Database) -> Town:
    return Town(db, item(materials=[MATERIAL], form=FILLED))


async def test_with_consent_a_source_fills_the_form_and_replaces_the_paper(town: Town):
    sources = town.sources()
    await town.consents.give(OWNER, PURPOSE, 1)
    draft = (await town.draft(form={})).application
    seen = await sources.bring(caller(), draft.id, "population")
    [brought] = seen.application.brought
    assert (seen.missing, seen.faults) == ([], [])
    assert seen.application.form["reason"] == "王小明"
    assert (brought.material, brought.means.value, len(brought.evidence)) == ("id_card", "source", 64)
    assert brought.as_of_at is not None
    uses, _ = await town.uses.page(OWNER, "", 10)
    assert [(use.purpose, use.fields) for use in uses] == [("免提交：高龄老人津贴", ("id_number", "name"))]
    assert town.log.actions() == ["application.source"]
    await town.counter.submit(caller(), draft.id, seen.application.version, "k")
    filed = await town.desk.get(CLERK, draft.id)
    assert filed.application.answers["population"]["name"] == "王小明"


async def test_asking_again_gives_the_same_evidence_and_no_second_material(town: Town):
    sources = town.sources()
    await town.consents.give(OWNER, PURPOSE, 1)
    draft = (await town.draft()).application
    one = await sources.bring(caller(), draft.id, "population")
    two = await sources.bring(caller(), draft.id, "population")
    assert [b.evidence for b in one.application.brought] == [b.evidence for b in two.application.brought]


async def test_without_consent_nothing_is_asked_and_a_withdrawal_holds_at_once(town: Town):
    asked: list[Question] = []

    class Watched:
        async def ask(self, question: Question, person: RealName) -> Answer | None:
            asked.append(question)
            return Answer({"name": person.name, "id_number": person.number, "religion": "x"}, town.clock())

    sources = town.sources(Watched())
    draft = (await town.draft()).application
    with pytest.raises(ForbiddenError, match="consent_needed"):
        await sources.bring(caller(), draft.id, "population")
    await town.consents.give(OWNER, PURPOSE, 1)
    seen = await sources.bring(caller(), draft.id, "population")
    assert "religion" not in seen.application.answers["population"]  # what was not asked is not kept
    await town.consents.withdraw(OWNER, PURPOSE)
    with pytest.raises(ForbiddenError, match="consent_needed"):
        await sources.bring(caller(), draft.id, "population")
    assert len(asked) == 1
    assert len((await town.uses.page(OWNER, "", 10))[0]) == 1


async def test_a_source_that_is_away_or_slow_leaves_the_paper(town: Town):
    class Away:
        async def ask(self, question: Question, person: RealName) -> Answer | None:  # noqa: ARG002
            await asyncio.sleep(10)
            return None

    sources = town.sources(Away(), timeout_s=0.05)
    await town.consents.give(OWNER, PURPOSE, 1)
    draft = (await town.draft()).application
    with pytest.raises(UnavailableError, match="source_away"):
        await sources.bring(caller(), draft.id, "population")
    assert [each.id for each in (await town.counter.get(caller(), draft.id)).missing] == ["id_card"]


async def test_an_item_is_not_asked_about_a_source_it_does_not_use(town: Town):
    draft = (await town.draft()).application
    with pytest.raises(NotFoundError, match="source_unknown"):
        await town.sources().bring(caller(), draft.id, "marriage")


@pytest.mark.parametrize(
    ("source", "fields", "purposes"),
    [
        ("population", ["name", "religion"], ["identity_check"]),  # on the negative list
        ("population", ["name", "blood_group"], ["identity_check"]),  # in no rule
        ("population", ["name"], ["marketing"]),
        ("population", ["name"], []),
        ("secret_files", ["name"], ["identity_check"]),
    ],
)
def test_what_no_rule_allows_is_denied(source: str, fields: list[str], purposes: list[str]):
    known = load_source_policy()
    rule = SourceRule(
        source="population", consent="x", fields=frozenset({"name", "religion"}), purposes=frozenset({"identity_check"})
    )
    for policy in (known, Policy(negative=known.negative, sources=(rule,))):
        with pytest.raises(ForbiddenError, match="source_denied"):
            policy.rule(source, fields, purposes)
    assert known.rule("population", ["name"], ["identity_check"]).consent == "use_department_data"


def test_every_item_of_the_catalogue_may_ask_what_it_asks_and_the_sandbox_fills_its_form():
    policy, workflows, person = (
        load_source_policy(),
        load_workflows(),
        Person(name="王小明", id_number=id_number("101")),
    )
    faults, asked = [], 0
    for each in read_seed("440300").items:
        terms = Terms(each, 1, workflows[each.workflow])
        for source in {material.source.name for material in each.materials if material.source}:
            question = question_of(terms, source)
            assert policy.rule(source, question.fields, question.purposes), each.id
            asked += 1
            said = Answer({name: made_up(source, name, person) for name in question.fields}, NOW)
            form = filled_by(terms, question, said, {})
            faults += [(each.id, fault) for fault in terms.faults(form) if fault.field.removeprefix("form.") in form]
    assert (asked > 400, faults) == (True, [])


def test_a_field_that_the_form_does_not_show_is_not_filled():
    reason, has_home, home = FORM["fields"]
    form = {"fields": [reason, has_home, {**home, "fill": "population.name"}]}
    terms = Terms(item(materials=[MATERIAL], form=form), 1, load_workflows()["standard"])
    said, asked = Answer({"name": "王小明"}, NOW), question_of(terms, "population")
    assert filled_by(terms, asked, said, {"has_home": False}) == {"has_home": False}
    assert filled_by(terms, asked, said, {"has_home": True})["home"] == "王小明"
