"""The demo's departments state something of a few people, so that there is something to be proactive about."""

from __future__ import annotations

from datetime import date

from server.assemble import Assembly
from server.assemble_facts import facts
from server.commands.residents import known, settle
from server.commands.stated import PERSONAS, feed_of, number_of, state_facts
from server.domain.real_name import read_id_number


async def test_demo_residents_have_facts_and_a_second_run_changes_nothing(assembly: Assembly):
    """Everything that the demo's feeds say is kept of everybody they are about, and those people can log in."""
    await settle(assembly, 12, 1, lambda _: None)
    assert await state_facts(assembly) == len(PERSONAS)
    parts = facts(assembly)
    imports = await parts.imports.latest(100)
    assert {one.counts.get(what, 0) for one in imports for what in ("refused", "unknown", "no_consent")} == {0}
    wanted = {fact for persona in PERSONAS for stated in persona.states.values() for fact in stated} | {"birth_date"}
    people = await assembly.db["accounts"].distinct("_id", {"is_real_name": True})
    held = await parts.store.find(people)
    assert {fact for each in held.values() for fact in each.values} == wanted
    assert all(each.division for each in held.values())
    assert {persona.wechat for persona in PERSONAS} <= {one["wechat"] for one in await known(assembly)}
    assert await state_facts(assembly) == len(PERSONAS)
    assert await parts.store.find(people) == held
    await assembly.db["facts"].drop_indexes()


def test_demo_numbers_are_well_formed_on_every_day():
    for today in (date(2026, 1, 1), date(2028, 2, 29), date(2026, 12, 31)):
        for persona in PERSONAS:
            number = number_of(persona)
            assert read_id_number(number, today).text == number
        assert feed_of(PERSONAS, "vehicle", today).count(",vehicle_insurance_until,") == 1
