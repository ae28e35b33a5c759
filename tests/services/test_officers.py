"""Accounts and sessions: invited by a link, in with three things, out at once; nobody learns who exists."""

from __future__ import annotations

import asyncio

import pyotp
import pytest

from server.domain.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    TooManyError,
    UnauthenticatedError,
)
from server.domain.officers import AccountState, NewOfficer, Officer, Role, Unit
from server.services.audit import AuditLog
from server.services.officers import LogIn, Officers
from server.storage.mongo import Database
from tests.services.desk import UNIT, Clock, officer
from tests.services.office import HERE, PASSWORD, Person, hired, newcomer, office_of

ELSEWHERE = "198.51.100.7"
ADMINISTRATOR = officer("boss", Role.ADMINISTRATOR)


@pytest.fixture
def office(db: Database, audit: AuditLog, clock: Clock) -> Officers:
    return office_of(db, audit, clock)


@pytest.fixture
async def wang(office: Officers, clock: Clock) -> Person:
    return await hired(office, clock)


async def refused(office: Officers, given: LogIn) -> str:
    with pytest.raises((UnauthenticatedError, TooManyError)) as caught:
        await office.log_in(given)
    return caught.value.code


async def test_an_invited_officer_sets_a_password_and_logs_in_with_a_code(office: Officers, clock: Clock):
    account, link = await office.create(None, newcomer())
    assert account.state is AccountState.INVITED
    activation = await office.activate(link, PASSWORD)
    code = pyotp.TOTP(pyotp.parse_uri(activation.otpauth_uri).secret).at(clock.at)
    session, token = await office.log_in(LogIn("王敏", PASSWORD, code, HERE))
    again = await office.session(token)
    assert again == session
    assert (again.officer.name, again.officer.roles) == ("王敏", frozenset({Role.RELEASER}))
    assert len(token) == 43


async def test_nothing_of_a_session_or_account_can_be_read_in_the_database(
    db: Database, office: Officers, wang: Person
):
    session, token = await office.log_in(wang.log_in())
    stored = "".join([repr(d) for name in await db.list_collection_names() async for d in db[name].find()])
    for secret in (token, PASSWORD, wang.secret, "王敏", HERE):
        assert secret not in stored
    assert session.id in stored


async def test_a_link_works_once_and_for_a_day(office: Officers, clock: Clock):
    _, link = await office.create(None, newcomer())
    results = await asyncio.gather(*(office.activate(link, PASSWORD) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(result, UnauthenticatedError) for result in results) == 2
    _, late = await office.create(None, newcomer("李强", "p2"))
    clock.pass_by(hours=24)
    with pytest.raises(UnauthenticatedError, match="link_unknown"):
        await office.activate(late, PASSWORD)


async def test_a_weak_password_does_not_use_up_the_link(office: Officers):
    _, link = await office.create(None, newcomer())
    with pytest.raises(InvalidInputError, match="password_guessable"):
        await office.activate(link, "王敏王敏王敏王敏王敏王敏")
    assert (await office.activate(link, PASSWORD)).totp_secret


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "not the password at all"},
        {"password": ""},
        {"password": "\ud800" * 20},
        {"code": "000000"},
        {"code": ""},
        {"name": "无名氏"},
        {"name": "\ud800"},
        {"name": '{"$gt": ""}'},
    ],
)
async def test_whatever_is_wrong_the_answer_is_the_same(office: Officers, wang: Person, wrong: dict[str, str]):
    assert await refused(office, wang.log_in(**wrong)) == "login_failed"
    assert (await office.log_in(wang.log_in()))[0].officer.id == wang.id


async def test_invited_and_locked_officers_are_as_unknown_as_strangers(office: Officers, wang: Person, clock: Clock):
    await office.create(None, newcomer("李强", "p2"))
    assert await refused(office, LogIn("李强", PASSWORD, wang.code(), HERE)) == "login_failed"
    await office.lock(None, wang.id)
    assert await refused(office, wang.log_in()) == "login_failed"
    clock.pass_by(minutes=1)
    assert (await office.unlock(None, wang.id)).state is AccountState.ACTIVE
    assert (await office.log_in(wang.log_in()))[0]


async def test_a_code_opens_one_session_only(office: Officers, wang: Person):
    tries = await asyncio.gather(*(office.log_in(wang.log_in()) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(result, tuple) for result in tries) == 1


async def test_a_name_may_be_written_in_another_form(office: Officers, clock: Clock):
    person = await hired(office, clock, newcomer("Wang Min"))
    assert (await office.log_in(person.log_in(name=" ｗang MIN ")))[0].officer.name == "Wang Min"
    with pytest.raises(ConflictError, match="name_taken"):
        await office.create(None, newcomer("WANG MIN", "p9"))


@pytest.mark.parametrize("name", ["王敏", "无名氏"])
async def test_failures_slow_down_a_name_whether_it_exists_or_not(office: Officers, wang: Person, name: str):
    codes = [await refused(office, wang.log_in(name=name, password="wrong")) for _ in range(6)]
    assert codes == ["login_failed"] * 4 + ["login_delayed"] * 2


async def test_after_ten_failures_even_the_right_password_waits_a_quarter_of_an_hour(
    office: Officers, wang: Person, clock: Clock
):
    for wait_s in (0, 0, 0, 2, 4, 8, 16, 32, 64, 0):
        assert await refused(office, wang.log_in(password="wrong")) == "login_failed"
        clock.pass_by(seconds=wait_s)
    clock.pass_by(minutes=14, seconds=59)
    assert await refused(office, wang.log_in()) == "login_delayed"
    clock.pass_by(seconds=1)
    assert (await office.log_in(wang.log_in()))[0]


async def test_failures_are_forgotten_after_a_quiet_day(office: Officers, wang: Person, clock: Clock):
    for _ in range(2):
        codes = [await refused(office, wang.log_in(password="wrong")) for _ in range(5)]
        assert codes == ["login_failed"] * 4 + ["login_delayed"]
        clock.pass_by(hours=24)


async def test_a_hundred_guesses_at_once_are_not_a_hundred_chances(office: Officers, wang: Person):
    codes = await asyncio.gather(*(refused(office, wang.log_in(password=f"wrong {n}")) for n in range(100)))
    assert codes.count("login_failed") == 4  # the fourth starts the wait


async def test_strangers_cannot_lock_out_an_officer_at_the_own_desk(office: Officers, wang: Person, clock: Clock):
    await office.log_in(wang.log_in())
    clock.pass_by(minutes=1)
    await asyncio.gather(*(refused(office, wang.log_in(password="wrong", origin=ELSEWHERE)) for _ in range(20)))
    assert await refused(office, wang.log_in(origin=ELSEWHERE)) == "login_delayed"
    assert (await office.log_in(wang.log_in()))[0]


async def test_one_origin_that_tries_many_names_is_slowed_down(office: Officers, wang: Person):
    codes = [await refused(office, wang.log_in(name=f"name {n}", origin=ELSEWHERE)) for n in range(31)]
    assert codes == ["login_failed"] * 30 + ["login_delayed"]
    assert (await office.log_in(wang.log_in()))[0]  # from elsewhere, nobody waits


async def test_who_tries_many_names_in_the_office_does_not_keep_out_who_works_there(
    office: Officers, wang: Person, clock: Clock
):
    await office.log_in(wang.log_in())
    clock.pass_by(minutes=1)
    codes = [await refused(office, wang.log_in(name=f"name {n}")) for n in range(31)]
    assert codes[-1] == "login_delayed"
    assert (await office.log_in(wang.log_in()))[0]


async def test_one_ipv6_network_is_one_origin_however_many_addresses_it_uses(office: Officers, wang: Person):
    tries = [wang.log_in(name=f"name {n}", origin=f"2001:db8:1:2::{n:x}") for n in range(31)]
    assert [await refused(office, given) for given in tries] == ["login_failed"] * 30 + ["login_delayed"]


async def test_a_right_log_in_forgets_the_failures_before(office: Officers, wang: Person, clock: Clock):
    for _ in range(3):
        for _ in range(3):
            await refused(office, wang.log_in(password="wrong"))
        assert (await office.log_in(wang.log_in()))[0]
        clock.pass_by(seconds=60)


async def test_a_session_lives_while_it_is_used_and_twelve_hours_at_most(office: Officers, wang: Person, clock: Clock):
    _, token = await office.log_in(wang.log_in())
    for _ in range(24):
        clock.pass_by(minutes=29)
        await office.session(token)
    clock.pass_by(minutes=24)  # twelve hours since the log-in
    with pytest.raises(UnauthenticatedError, match="session_unknown"):
        await office.session(token)


async def test_a_session_ends_after_half_an_hour_of_silence(office: Officers, wang: Person, clock: Clock):
    _, token = await office.log_in(wang.log_in())
    clock.pass_by(minutes=30)
    with pytest.raises(UnauthenticatedError, match="session_unknown"):
        await office.session(token)
    assert await office.sessions(wang.id) == []


@pytest.mark.parametrize("token", ["", "x" * 43, "\ud800", "$ne"])
async def test_a_token_that_nobody_got_opens_nothing(office: Officers, wang: Person, token: str):
    await office.log_in(wang.log_in())
    with pytest.raises(UnauthenticatedError, match="session_unknown"):
        await office.session(token)


async def test_the_own_sessions_can_be_listed_and_ended_one_by_one_or_all(office: Officers, wang: Person, clock: Clock):
    tokens = []
    for _ in range(3):
        clock.pass_by(seconds=60)
        tokens.append((await office.log_in(wang.log_in()))[1])
    sessions = [await office.session(token) for token in tokens]
    assert [s.id for s in await office.sessions(wang.id)] == [s.id for s in reversed(sessions)]
    assert sessions[0].origin == HERE
    await office.end(sessions[0], sessions[1].id)
    with pytest.raises(UnauthenticatedError):
        await office.session(tokens[1])
    assert await office.end_all(sessions[0].officer, wang.id) == 2
    with pytest.raises(UnauthenticatedError):
        await office.session(tokens[0])


async def test_nobody_ends_a_session_of_somebody_else(office: Officers, wang: Person, clock: Clock):
    other = await hired(office, clock, newcomer("李强", "p2"))
    session, token = await office.log_in(wang.log_in())
    strange, _ = await office.log_in(other.log_in())
    with pytest.raises(NotFoundError, match="session_unknown"):
        await office.end(strange, session.id)
    with pytest.raises(ForbiddenError, match="role_missing"):
        await office.end_all(strange.officer, wang.id)
    assert await office.session(token) == session


async def test_a_fresh_code_renews_the_second_factor_and_works_once(office: Officers, wang: Person, clock: Clock):
    session, token = await office.log_in(wang.log_in())
    clock.pass_by(minutes=6)
    code = wang.code()
    confirmed = await office.confirm_totp(session, code)
    assert confirmed.totp_at == clock.at == (await office.session(token)).totp_at
    with pytest.raises(UnauthenticatedError, match="totp_wrong"):
        await office.confirm_totp(session, code)


async def test_guessing_codes_in_a_stolen_session_is_slowed_down(office: Officers, wang: Person, clock: Clock):
    session, _ = await office.log_in(wang.log_in())
    clock.pass_by(minutes=6)
    for _ in range(4):
        with pytest.raises(UnauthenticatedError, match="totp_wrong"):
            await office.confirm_totp(session, "000000")
    with pytest.raises(TooManyError, match="login_delayed"):
        await office.confirm_totp(session, wang.code())


async def test_a_lock_a_recovery_and_a_change_of_roles_act_at_once(office: Officers, wang: Person, clock: Clock):
    _, token = await office.log_in(wang.log_in())
    await office.change(ADMINISTRATOR, wang.id, frozenset({Role.CHIEF}))
    assert (await office.session(token)).officer.roles == frozenset({Role.CHIEF})
    await office.lock(ADMINISTRATOR, wang.id)
    with pytest.raises(UnauthenticatedError):
        await office.session(token)
    await office.unlock(ADMINISTRATOR, wang.id)
    clock.pass_by(minutes=1)
    _, token = await office.log_in(wang.log_in())
    link = await office.recover(ADMINISTRATOR, wang.id)
    with pytest.raises(UnauthenticatedError):
        await office.session(token)
    clock.pass_by(minutes=1)
    assert await refused(office, wang.log_in()) == "login_failed"
    fresh = await office.activate(link, PASSWORD)
    assert fresh.totp_secret != wang.secret
    assert (await office.log_in(Person(wang.id, "王敏", fresh.totp_secret, clock).log_in()))[0]


async def test_a_log_in_that_a_lock_overtook_opens_nothing_after_the_unlock(
    db: Database, audit: AuditLog, office: Officers, wang: Person, clock: Clock
):
    class Slow:
        """A hasher during whose work the officer is locked and unlocked."""

        async def hash(self, password: str) -> str:
            """Not asked here."""
            raise AssertionError(password)

        async def verify(self, hashed: str | None, password: str, *, is_known: bool = False) -> bool:
            """Right, but late."""
            clock.pass_by(seconds=1)
            await office.lock(None, wang.id)
            await office.unlock(None, wang.id)
            return bool(hashed and password and not is_known)

    _, token = await office_of(db, audit, clock, Slow()).log_in(wang.log_in())
    with pytest.raises(UnauthenticatedError, match="session_unknown"):
        await office.session(token)


async def test_powers_stay_separate_over_all_accounts_of_a_person(office: Officers):
    await office.create(None, newcomer("王敏", "p1"))
    for role in (Role.AUDITOR, Role.ADMINISTRATOR):
        with pytest.raises(ConflictError, match="powers_mixed"):
            await office.create(None, newcomer("王敏二", "p1", role))
        with pytest.raises(InvalidInputError, match="roles_mixed"):
            await office.create(None, newcomer("李强", "p2", role, Role.AUTHOR))
    assert [account.officer.name for account in await office.accounts(None)] == ["王敏"]
    await office.create(None, newcomer("王敏二", "p1", Role.AUTHOR))


async def test_an_account_never_changes_its_power(office: Officers, wang: Person):
    for roles in ({Role.ADMINISTRATOR}, {Role.AUDITOR}, {Role.CHIEF, Role.AUDITOR}, set()):
        with pytest.raises(InvalidInputError, match="roles_m"):
            await office.change(None, wang.id, frozenset(roles))


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.AUDITOR])
async def test_an_administrator_makes_and_silences_neither_administrators_nor_auditors(
    office: Officers, clock: Clock, role: Role
):
    with pytest.raises(ForbiddenError, match="operator_needed"):
        await office.create(ADMINISTRATOR, newcomer("李强", "p2", role))
    other = await hired(office, clock, newcomer("李强", "p2", role))
    for manage in (office.lock, office.unlock, office.recover, office.end_all):
        with pytest.raises(ForbiddenError, match="operator_needed"):
            await manage(ADMINISTRATOR, other.id)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
async def test_nobody_but_an_administrator_manages_accounts(office: Officers, wang: Person, role: Role):
    by = officer("x", role)
    with pytest.raises(ForbiddenError, match="role_missing"):
        await office.create(by, newcomer("李强", "p2"))
    with pytest.raises(ForbiddenError, match="role_missing"):
        await office.accounts(by)
    for manage in (office.lock, office.unlock, office.recover, office.end_all):
        with pytest.raises(ForbiddenError, match="role_missing"):
            await manage(by, wang.id)
    with pytest.raises(ForbiddenError, match="role_missing"):
        await office.change(by, wang.id, frozenset({Role.CHIEF}))


async def test_an_administrator_sees_and_reaches_the_own_divisions_only(office: Officers, clock: Clock):
    nanshan = Unit(code="44030541600000", name="南山区气象局", sender="ns@sz.example", division="440305")
    near = await hired(office, clock, newcomer("李强", "p2", unit=nanshan, division="440305"))
    far = await hired(office, clock, newcomer("王敏", "p1"))
    boss = officer("boss", Role.ADMINISTRATOR, division="440305")
    assert [account.officer.id for account in await office.accounts(boss)] == [near.id]
    with pytest.raises(NotFoundError, match="officer_unknown"):
        await office.lock(boss, far.id)
    with pytest.raises(ForbiddenError, match="outside_division"):
        await office.create(boss, newcomer("赵云", "p3"))


async def test_nobody_manages_the_own_account(office: Officers, clock: Clock):
    person = await hired(office, clock, newcomer("李强", "p2", Role.ADMINISTRATOR))
    me: Officer = (await office.log_in(person.log_in()))[0].officer
    for manage in (office.lock, office.unlock, office.recover):
        with pytest.raises(ForbiddenError, match="own_account"):
            await manage(me, me.id)


async def test_log_ins_failures_and_changes_are_in_the_log_without_names_or_secrets(
    db: Database, office: Officers, audit: AuditLog, wang: Person, clock: Clock
):
    await refused(office, wang.log_in(password="wrong"))
    await refused(office, wang.log_in(name="无名氏"))
    session, token = await office.log_in(wang.log_in())
    await office.end(session, session.id)
    await office.lock(ADMINISTRATOR, wang.id)
    clock.pass_by(minutes=1)
    entries = list(reversed(await audit.latest("officer")))
    assert [(e.action, e.result) for e in entries] == [
        ("officer.create", "begun"),
        ("officer.create", "done"),
        ("officer.activate", "done"),
        ("officer.log_in", "failed"),
        ("officer.log_in", "failed"),
        ("officer.log_in", "done"),
        ("officer.log_out", "done"),
        ("officer.lock", "done"),
    ]
    assert entries[3].object == f"officer/{wang.id}"
    assert entries[4].object.startswith("name/account|")
    assert (entries[-1].actor, entries[-1].object) == (ADMINISTRATOR.id, f"officer/{wang.id}")
    told = repr(entries)
    assert not [s for s in ("王敏", "无名氏", PASSWORD, wang.secret, token, HERE) if s in told]
    assert await audit.verify() == []
    assert await db["audit"].count_documents({}) == len(entries)


def test_a_person_is_a_staff_number_and_a_name_holds_no_control_characters():
    for wrong in ({"person": "张三 110101199003070011"}, {"name": "a\nb"}, {"roles": []}, {"extra": 1}):
        fields = {"name": "李强", "person": "p2", "roles": ["author"], "unit": UNIT, "division": "440300"} | wrong
        with pytest.raises(ValueError, match="1 validation error"):
            NewOfficer.model_validate(fields)
