"""An officer binds the own citizen's account over real HTTP, and either side ends it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from server.assemble import Assembly
from server.assemble_holdings import holdings
from server.domain.officers import Account, AccountState, Officer, Role
from server.storage.mongo import in_transaction
from server.storage.officers import OfficerStore
from tests.api.client import Citizens, Client, Officers
from tests.services.desk import officer

CITIZEN, OTHER = 2**42 + 7, 2**42 + 8
PHONE, OWN, CODE = "/v1/staff/session/citizen", "/v1/me/officer", "/v1/me/officer/code"


class Hall:
    """Two officers and two citizens, all logged in."""

    def __init__(self, assembly: Assembly, api: Client, officers: Officers, citizens: Citizens) -> None:
        self.assembly, self.api, self.officers, self.citizens = assembly, api, officers, citizens
        self.chief, self.second = officer("chief", Role.CHIEF), officer("second", Role.CHIEF)

    async def open(self) -> None:
        """Make the accounts."""
        store, at = OfficerStore(self.assembly.db, self.assembly.vault), self.assembly.now()
        for nth, each in enumerate((self.chief, self.second)):
            person = each.model_copy(update={"name": f"officer {nth}"})
            account = Account(
                officer=person, state=AccountState.INVITED, created_at=at, changed_at=at, sessions_since=at
            )
            assert await store.insert(account, f"link {nth}", at + timedelta(hours=1))
        self.one, self.two = self.officers.enter(self.chief), self.officers.enter(self.second)
        self.mine, self.theirs = await self.citizens.enter(CITIZEN), await self.citizens.enter(OTHER)

    async def code(self, token: str) -> str:
        """What the citizen's program shows."""
        answer = await self.api("POST", CODE, b"", token=token)
        assert answer.status == 201
        self.lasts = datetime.fromisoformat(answer.json["expires_at"]) - self.assembly.now()
        return str(answer.json["code"])

    async def bind(self, by: str, code: str) -> tuple[int, str]:
        """Type a code in."""
        answer = await self.api("PUT", PHONE, {"code": code}, token=by)
        return answer.status, answer.code

    async def bound(self) -> list[bool]:
        """Both officers and both citizens, as they see it."""
        asked = [(PHONE, self.one), (PHONE, self.two), (OWN, self.mine), (OWN, self.theirs)]
        return [(await self.api("GET", path, token=token)).json["bound_at"] is not None for path, token in asked]

    async def log(self) -> list[tuple[str, str, str, str]]:
        """What the log says."""
        entries = await self.assembly.audit.latest("officer")
        return [(e.actor, e.action, e.object, e.result) for e in reversed(entries)]


@pytest.fixture
async def hall(assembly: Assembly, api: Client, officers: Officers, citizens: Citizens) -> Hall:
    made = Hall(assembly, api, officers, citizens)
    await made.open()
    return made


async def test_a_code_binds_once_and_the_log_names_no_citizen(hall: Hall):
    code = await hall.code(hall.mine)
    assert await hall.bind(hall.one, code) == (200, "")
    assert await hall.bound() == [True, False, True, False]
    assert await hall.bind(hall.two, code) == (422, "officer_code_wrong")
    what = f"officer/{hall.chief.id}"
    assert (hall.chief.id, "officer.bind", what, "done") in await hall.log()
    assert f"{CITIZEN:032x}" not in str(await hall.log())


async def test_one_account_an_officer_and_one_officer_an_account(hall: Hall):
    assert await hall.bind(hall.one, await hall.code(hall.mine)) == (200, "")
    assert await hall.bind(hall.two, await hall.code(hall.mine)) == (409, "citizen_bound")
    assert await hall.bind(hall.one, await hall.code(hall.theirs)) == (200, "")  # instead of the first
    assert await hall.bound() == [True, False, False, True]


async def test_either_side_ends_it_and_a_second_time_changes_nothing(hall: Hall):
    for path, token in ((PHONE, hall.one), (OWN, hall.mine)):
        await hall.bind(hall.one, await hall.code(hall.mine))
        answers = [await hall.api("DELETE", path, token=token) for _ in range(2)]
        assert [answer.status for answer in answers] == [204, 204]
        assert await hall.bound() == [False] * 4
    assert [action for _, action, _, _ in await hall.log()].count("officer.unbind") == 2


async def test_binding_wants_a_fresh_second_factor(hall: Hall):
    stale = hall.officers.enter(hall.chief, totp_age=timedelta(minutes=6))
    assert await hall.bind(stale, await hall.code(hall.mine)) == (403, "totp_stale")
    assert (await hall.api("DELETE", PHONE, token=stale)).code == "totp_stale"


async def test_a_new_code_voids_the_one_before(hall: Hall):
    before, after = await hall.code(hall.mine), await hall.code(hall.mine)
    assert await hall.bind(hall.one, before) == (422, "officer_code_wrong")
    assert await hall.bind(hall.one, after) == (200, "")


async def test_who_guesses_waits(hall: Hall):
    answers = [await hall.bind(hall.one, f"{n:08d}") for n in range(8)]
    assert answers[0] == (422, "officer_code_wrong")
    assert answers[-1] == (429, "officer_code_delayed")


async def test_a_code_is_good_for_five_minutes(hall: Hall):
    code = await hall.code(hall.mine)
    assert timedelta(minutes=4, seconds=50) < hall.lasts <= timedelta(minutes=5)
    gone = {"$set": {"gone_at": hall.assembly.now()}}
    assert (await hall.assembly.db["officer_codes"].update_one({"_id": CITIZEN}, gone)).modified_count == 1
    assert await hall.bind(hall.one, code) == (422, "officer_code_wrong")


async def test_who_manages_accounts_sees_that_an_officer_can_be_called_and_no_more(hall: Hall):
    await hall.bind(hall.one, await hall.code(hall.mine))
    boss: Officer = officer("boss", Role.ADMINISTRATOR)
    answer = await hall.api("GET", "/v1/staff/officers", token=hall.officers.enter(boss))
    assert {o["id"]: o["can_be_called"] for o in answer.json["officers"]} == {
        hall.chief.id: True, hall.second.id: False,
    }  # fmt: skip
    assert str(CITIZEN) not in answer.body.decode()
    assert f"{CITIZEN:032x}" not in answer.body.decode()


async def test_a_binding_goes_along_with_a_join_unless_the_other_account_has_one_and_ends_with_an_erasure(hall: Hall):
    [holding] = [h for h in holdings(hall.assembly) if h.name == "duty"]
    await hall.bind(hall.one, await hall.code(hall.mine))
    await in_transaction(hall.assembly.db, lambda session: holding.move(CITIZEN, OTHER, session))
    assert await hall.bound() == [True, False, False, True]
    await hall.bind(hall.two, await hall.code(hall.mine))
    await in_transaction(hall.assembly.db, lambda session: holding.move(CITIZEN, OTHER, session))
    assert await hall.bound() == [True, False, False, True]
    assert len(await holding.export(OTHER)) == 1
    await holding.erase(OTHER)
    assert await hall.bound() == [False] * 4
