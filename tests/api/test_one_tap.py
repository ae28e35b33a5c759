"""免申即享 over HTTP with the city's own rules and items: a bare tap is a number, and the tap is the declaration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from server import assemble_public
from server.app import Services, services_of
from server.assemble import Assembly
from server.domain.china import china_day
from server.domain.facts import day_of_number
from server.domain.prefill import digest_of
from server.domain.real_name import RealName
from server.domain.resources import Named
from server.domain.rule_files import document_of, read_rules
from server.domain.sources import Answer, Question
from server.services.sources import Permits, Sources
from server.storage.catalogue_files import read_seed
from server.storage.catalogues import load_source_policy, read_rule_texts
from server.storage.real_names import RealNameStore
from tests.api.client import Citizens, Client
from tests.api.offer_town import OfferTown, years_ago

MEI = 2**42 + 91
PHONE = "+8613900004291"
NUMBER = "44030519461124103X"  # of a district that was founded long after this birthday


@dataclass(frozen=True)
class Case:
    """A rule of the city, how old somebody is, what else is known, and what the form holds beside themselves."""

    rule: str
    item: str
    age: int
    facts: dict[str, Any]
    expected: dict[str, Any]


PAID = {"pay_to": "social_card", "by_family": False}
HUKOU = {"residence": "hukou"}
CASES = (
    Case("elderly-allowance-80", "elderly-allowance", 80, HUKOU, {"tier": "from80", **PAID}),
    Case("elderly-allowance-80", "elderly-allowance", 91, HUKOU, {"tier": "from90", **PAID}),
    Case("elderly-card-60", "elderly-card", 60, {}, {"card_kind": "electronic"}),
)


class Registers:
    """Departments that know everybody, since an hour ago."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    async def ask(self, question: Question, person: RealName) -> Answer | None:
        """Name and number."""
        known = {"name": person.name, "id_number": person.number}
        found = {field: known[field] for field in question.fields & known.keys()}
        return Answer(found, self._now() - timedelta(hours=1))


@pytest.fixture
def services(assembly: Assembly, readers: assemble_public.PublicParts) -> Services:
    """Those of an API process whose departments answer."""
    found = services_of(assembly, readers)
    parts = found.applications
    names = RealNameStore(assembly.db, assembly.vault, assembly.person_vault)
    permits = Permits(load_source_policy(), assembly.consents, assembly.uses, names)
    sources = Sources(parts.ground, parts.applications, permits, Registers(assembly.now))
    return replace(found, applications=replace(parts, sources=sources))


async def offered(assembly: Assembly, case: Case) -> str:
    """The path of the one offer, by the city's own rule, of somebody verified who has a telephone and agreed."""
    town = OfferTown(assembly)
    filed = next(each.rule for each in read_rules(read_rule_texts())[0] if each.rule.id == case.rule)
    await town.ready([document_of(filed)], next(each for each in read_seed("440300").items if each.id == case.item))
    names = RealNameStore(assembly.db, assembly.vault, assembly.person_vault)
    assert await names.bind(MEI, await names.seal(MEI, RealName("林秀英", NUMBER), assembly.now()))
    await assembly.citizens.bind(MEI, "sms", PHONE)
    await assembly.consents.give(MEI, "use_department_data", 1)
    await town.knows(MEI, birth_date=years_ago(china_day(assembly.now()), case.age), **case.facts)
    await town.run()
    return f"/v1/me/offers/{await town.offer_of(MEI)}"


@pytest.mark.parametrize("case", CASES, ids=lambda each: f"{each.item}-{each.age}")
async def test_a_bare_tap_is_a_number(api: Client, assembly: Assembly, citizens: Citizens, case: Case):
    """Nothing is typed; what the form holds is the account's, the facts', the usual answers and the declarations."""
    mine = await citizens.enter(MEI)
    offer = await offered(assembly, case)
    done = await api("POST", f"{offer}/accept", {}, token=mine)
    assert done.status == 200, done.body
    application = done.json["application"]
    assert (done.json["is_filed"], bool(application["number"])) == (True, True)
    born = day_of_number(years_ago(china_day(assembly.now()), case.age)).isoformat()
    own = {"name": "林秀英", "id_number": NUMBER, "phone": PHONE, "sharing": True, "truth": True}
    assert application["form"] == case.expected | own | {"birth_day": born}
    kept = await assembly.applications.find(application["id"])
    assert kept is not None
    assert kept.answers["facts"]["birth_date"]["source"] == "population"
    assert kept.answers["facts"]["account.phone"]["source"] == "account"


async def test_the_tap_declares_what_the_offer_shows_and_that_is_kept(
    api: Client, assembly: Assembly, citizens: Citizens
):
    """Who, when, which version, which words: sealed into the application, their digest in the log."""
    mine = await citizens.enter(MEI)
    offer = await offered(assembly, CASES[0])
    shown = (await api("GET", offer, token=mine)).json["declares"]
    assert shown == ["同意由部门核验，免交材料", "我承诺所填内容真实，愿意承担相应责任"]
    before = assembly.now()
    done = (await api("POST", f"{offer}/accept", {}, token=mine)).json["application"]
    kept = await assembly.applications.find(done["id"])
    assert kept is not None
    declared = kept.answers["declared"]
    assert [each["zh"] for each in declared["texts"].values()] == shown
    account = await assembly.accounts.get(MEI)
    assert (declared["by"], declared["item_version"]) == (account.public, 1)
    assert before - timedelta(seconds=1) <= datetime.fromisoformat(declared["at"]) <= assembly.now()
    words = {name: Named(**each) for name, each in declared["texts"].items()}
    entry = await assembly.db["audit"].find_one({"action": "application.declare"})
    assert entry is not None
    assert entry["details"]["texts"] == declared["digest"] == digest_of(words)


async def test_another_account_is_asked_for_and_whoever_does_not_declare_does_not_file(
    api: Client, assembly: Assembly, citizens: Citizens
):
    """What the citizen says counts over what most people answer, and over the tap."""
    mine = await citizens.enter(MEI)
    offer = await offered(assembly, CASES[0])
    refused = await api("POST", f"{offer}/accept", {"form": {"truth": False}}, token=mine)
    assert (refused.status, refused.json["field"]) == (422, "form.truth")
    refused = await api("POST", f"{offer}/accept", {"form": {"truth": True, "pay_to": "other_account"}}, token=mine)
    assert (refused.status, refused.code) == (422, "form_faulty")
    assert refused.json["field"] in {"form.bank_name", "form.bank_card"}
