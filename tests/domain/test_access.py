"""The table of deeds: every cell, both ways, and its agreement with the rules of the desk."""

from __future__ import annotations

import itertools

import pytest

from server.domain.access import GRANTS, Deed, Reach, may, may_ask, refuse, refuse_at
from server.domain.alerts.states import RULES, Action
from server.domain.errors import ForbiddenError, InvalidInputError
from server.domain.officers import SERVING, WARNING, Officer, Role, Unit, is_mixed, refuse_mixed_powers

UNIT = Unit(code="44030041600000", name="深圳市气象台", sender="weather@sz.example", division="440300")
CITY, DISTRICT, STREET, OTHER = "440300", "440305", "440305001", "440304"
PLACES = (CITY, DISTRICT, STREET, OTHER, "130100", "")

# Who may, written down a second time and by hand: A author, R releaser, C chief, U auditor, M administrator,
# K clerk, L planner, E editor, P approver, S supervisor.
WHO = {
    "alert.read": "ARC",
    "alert.preview": "ARC",
    "alert.draft": "A",
    "alert.edit": "A",
    "alert.follow": "A",
    "alert.submit": "A",
    "alert.return": "ARC",
    "alert.reject": "ARC",
    "alert.release": "RC",
    "application.read": "KPS",
    "application.step": "KP",
    "application.assign": "KPS",
    "application.ask_again": "S",
    "rating.read": "S",
    "rating.step": "S",
    "rating.contact": "S",
    "acknowledgement.read": "ARC",
    "acknowledgement.help": "ARC",
    "broadcast.read": "ARC",
    "broadcast.unreached": "ARC",
    "broadcast.stop": "RC",
    "broadcast.resume": "RC",
    "intake.read": "ARC",
    "intake.decide": "A",
    "order.read": "ARC",
    "order.write": "A",
    "order.release": "RC",
    "order.stop": "ARC",
    "partner.read": "M",
    "partner.manage": "M",
    "officer.read": "M",
    "officer.manage": "M",
    "booking.read": "KL",
    "booking.serve": "K",
    "booking.book": "K",
    "booking.excuse": "K",
    "booking.close": "KL",
    "resource.read": "KL",
    "resource.manage": "L",
    "fact_objection.read": "EP",
    "fact_objection.answer": "EP",
    "item.read": "E",
    "item.write": "E",
    "item.publish": "E",
    "rule.read": "EP",
    "rule.write": "E",
    "rule.return": "EP",
    "rule.release": "P",
    "rule.stop": "EP",
    "bulletin.read": "EP",
    "bulletin.write": "E",
    "bulletin.publish": "P",
    "bulletin.withdraw": "P",
    "session.own": "ARCDUMKLEPS",
    "audit.read": "U",
    "audit.verify": "U",
}
LETTER = dict(zip("ARCDUMKLEPS", Role, strict=True))
READING = {"acknowledgement.read", "alert.read", "alert.preview", "broadcast.read", "intake.read", "order.read"}


def officer(*roles: Role, division: str = DISTRICT) -> Officer:
    return Officer(
        id="o", person="p", name="张三", roles=frozenset(roles), unit=UNIT, division=division, events=("11B",)
    )


def within(division: str, root: str) -> bool:
    """The reference: written out for the six places."""
    below = {CITY: {CITY, DISTRICT, STREET, OTHER}, DISTRICT: {DISTRICT, STREET}, STREET: {STREET}, OTHER: {OTHER}}
    return division in below.get(root, set())


@pytest.mark.parametrize("deed", Deed)
def test_every_cell_of_role_division_and_thing_is_as_written_down(deed: Deed):
    allowed = {LETTER[letter] for letter in WHO[deed.value]}
    for role, own, place in itertools.product(Role, (CITY, DISTRICT, STREET), PLACES):
        reaches = within(place, own) or (deed.value in READING and within(own, place))
        expected = role in allowed and (deed is Deed.SESSION_OWN or reaches)
        assert may(officer(role, division=own), deed, (place,)) == expected, (role, own, place)
        assert may_ask(officer(role, division=own), deed) == (role in allowed)


@pytest.mark.parametrize("deed", [deed for deed in Deed if deed is not Deed.SESSION_OWN])
def test_a_thing_that_touches_no_division_is_out_of_everybodys_reach(deed: Deed):
    assert not any(may(officer(role, division=CITY), deed) for role in Role)


@pytest.mark.parametrize("deed", [deed for deed, grant in GRANTS.items() if grant.reach is Reach.SUBTREE])
def test_one_division_outside_is_enough_to_be_refused(deed: Deed):
    (role, *_) = GRANTS[deed].roles
    with pytest.raises(ForbiddenError, match="outside_division"):
        refuse(officer(role), deed, (DISTRICT, OTHER))


def test_an_officer_without_a_role_may_nothing():
    assert not any(may(officer(), deed, (DISTRICT,)) for deed in Deed)


def test_a_drill_permission_alone_opens_nothing_but_the_own_sessions():
    assert {deed for deed in Deed if may(officer(Role.DRILL), deed, (DISTRICT,))} == {Deed.SESSION_OWN}


@pytest.mark.parametrize("action", ["edit", "submit", "return", "reject", "release", "follow"])
def test_the_door_lets_in_exactly_the_roles_that_the_desk_knows_for_an_action(action: str):
    at_the_desk = frozenset[Role]().union(*(rule.roles for (_, a), rule in RULES.items() if a is Action(action)))
    assert GRANTS[Deed(f"alert.{action}")].roles == at_the_desk


def test_who_warns_neither_manages_accounts_nor_reads_the_log():
    for deed in ("officer.read", "officer.manage", "partner.manage", "audit.read", "audit.verify"):
        assert not GRANTS[Deed(deed)].roles & WARNING


def test_who_serves_at_a_counter_does_nothing_of_the_other_powers_and_nobody_else_does_theirs():
    features = ("application", "booking", "bulletin", "fact_objection", "item", "rating", "resource", "rule")
    serving = {deed for deed in Deed if deed.split(".")[0] in features}
    for deed in Deed:
        if deed is not Deed.SESSION_OWN:
            assert bool(GRANTS[deed].roles & SERVING) == (deed in serving) == (GRANTS[deed].roles <= SERVING)


@pytest.mark.parametrize("deed", [Deed.BOOKING_SERVE, Deed.RESOURCE_READ])
def test_a_counter_is_served_by_officers_of_its_own_institution_and_division(deed: Deed):
    clerk = officer(Role.CLERK).model_copy(update={"institutions": ("sz-hall",)})
    refuse_at(clerk, deed, STREET, "sz-hall")
    for division, institution, code in (
        (OTHER, "sz-hall", "outside_division"),
        (STREET, "sz-hospital", "outside_unit"),
        (STREET, "sz-hall-2", "outside_unit"),
    ):
        with pytest.raises(ForbiddenError, match=code):
            refuse_at(clerk, deed, division, institution)
    with pytest.raises(ForbiddenError, match="outside_unit"):
        refuse_at(officer(Role.CLERK), deed, STREET, "sz-hall")


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(Role, 2)))
def test_an_account_holds_one_of_the_separate_powers(one: Role, other: Role):
    is_one_power = {one, other} <= WARNING or {one, other} <= SERVING
    assert is_mixed([frozenset({one}), frozenset({other})]) != is_one_power
    if not is_one_power:
        with pytest.raises(InvalidInputError, match="roles_mixed"):
            refuse_mixed_powers(frozenset({one, other}))


def test_an_account_without_roles_is_refused():
    with pytest.raises(InvalidInputError, match="roles_missing"):
        refuse_mixed_powers(frozenset())
