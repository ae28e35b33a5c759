"""One-time codes: good once, for one thing, for five minutes; and no more of them than the rules allow."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import bson
import pytest

from server.domain.errors import InvalidInputError, TooManyError, UnavailableError, WorkNeededError
from server.domain.one_time_codes import Purpose, rules
from server.services.one_time_codes import OneTimeCodes, Proof
from server.storage.mongo import Database
from tests.services.code_world import Phones, asking, counter, phone, solved, working
from tests.services.desk import Clock

LOG_IN = Purpose.LOG_IN


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def phones() -> Phones:
    return Phones()


@pytest.fixture
def codes(db: Database, clock: Clock, phones: Phones) -> OneTimeCodes:
    return counter(db, clock, phones)


async def tallied(db: Database) -> Counter[str]:
    """What is counted in all windows, and how many codes are kept."""
    found: Counter[str] = Counter()
    async for document in db["one_time_codes"].find({}):
        found[document["_id"].split("|")[0]] += (
            len(document["sent"]) if document["_id"].startswith("number") else document.get("sent", 1)
        )
    return found


async def test_a_code_tells_whose_number_it_was_sent_to_and_does_so_once(codes: OneTimeCodes, phones: Phones):
    sent = await codes.send(asking(1))
    assert await codes.check(sent.request, phones.code, LOG_IN) == f"+86{phone(1)}"
    with pytest.raises(InvalidInputError, match="code_wrong"):
        await codes.check(sent.request, phones.code, LOG_IN)


async def test_whatever_is_wrong_with_a_code_is_told_in_the_same_words(
    codes: OneTimeCodes, phones: Phones, clock: Clock
):
    first = await codes.send(asking(1))
    first_code = phones.code
    other = await codes.send(asking(2))
    told = set()
    wrong = f"{(int(phones.code) + 1) % 10**6:06d}"
    for request, code, purpose in (
        (other.request, wrong, LOG_IN),
        (other.request, phones.code, Purpose.CONSENT),
        (first.request, phones.code if phones.code != first_code else wrong, LOG_IN),
        ("0" * 32, phones.code, LOG_IN),
        ("", "", LOG_IN),
    ):
        with pytest.raises(InvalidInputError) as refused:
            await codes.check(request, code, purpose)
        told.add((refused.value.code, refused.value.zh, refused.value.field))
    clock.pass_by(minutes=5)
    with pytest.raises(InvalidInputError) as refused:
        await codes.check(first.request, first_code, LOG_IN)
    told.add((refused.value.code, refused.value.zh, refused.value.field))
    assert len(told) == 1


async def test_after_five_wrong_tries_the_right_code_is_dead(codes: OneTimeCodes, phones: Phones):
    sent = await codes.send(asking(1))
    guesses = [f"{(int(phones.code) + n) % 10**6:06d}" for n in range(1, 6)]
    for guess in guesses:
        with pytest.raises(InvalidInputError):
            await codes.check(sent.request, guess, LOG_IN)
    with pytest.raises(InvalidInputError):
        await codes.check(sent.request, phones.code, LOG_IN)


async def test_many_guesses_at_once_are_five_guesses(codes: OneTimeCodes, phones: Phones):
    sent = await codes.send(asking(1))
    guesses = [f"{(int(phones.code) + n) % 10**6:06d}" for n in range(1, 41)]
    await asyncio.gather(*(codes.check(sent.request, g, LOG_IN) for g in guesses), return_exceptions=True)
    with pytest.raises(InvalidInputError):
        await codes.check(sent.request, phones.code, LOG_IN)


async def test_the_right_code_given_five_times_at_once_is_good_once(codes: OneTimeCodes, phones: Phones):
    sent = await codes.send(asking(1))
    tries = [codes.check(sent.request, phones.code, LOG_IN) for _ in range(5)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(answer, str) for answer in answers) == 1


async def test_an_earlier_code_stays_good_so_that_nobody_can_void_anothers(
    codes: OneTimeCodes, phones: Phones, clock: Clock
):
    sent, code = await codes.send(asking(1)), phones.code
    clock.pass_by(minutes=1)
    await codes.send(asking(1))
    assert await codes.check(sent.request, code, LOG_IN) == f"+86{phone(1)}"


async def test_a_number_gets_a_code_a_minute_five_an_hour_ten_a_day_and_the_wait_that_is_told_is_true(
    codes: OneTimeCodes, phones: Phones, clock: Clock
):
    waits: list[int | None] = []
    for _ in range(12):
        try:
            await codes.send(asking(1))
        except TooManyError as error:
            waits.append(error.retry_after_s)
            clock.pass_by(seconds=error.retry_after_s or 0)
            await codes.send(asking(1))
    assert waits == [60, 60, 60, 60, 3_360, 60, 60, 60, 60, 82_560, 60]
    assert len(phones.got) == 12


async def test_twenty_requests_for_one_number_at_once_are_one_text(db: Database, codes: OneTimeCodes, phones: Phones):
    answers = await asyncio.gather(*(codes.send(asking(1)) for _ in range(20)), return_exceptions=True)
    assert len(phones.got) == 1
    assert sum(isinstance(answer, TooManyError) for answer in answers) == 19
    assert await tallied(db) == {"number": 1, "prefix": 1, "city": 3, "code": 1}


async def test_a_storm_gets_the_citys_budget_and_not_one_text_more(db: Database, clock: Clock, phones: Phones):
    codes = counter(db, clock, phones, rules(per_minute=10, per_hour=100, per_day=100))
    wishes = [asking(n * 10_000) for n in range(80)]
    answers = await asyncio.gather(*map(codes.send, wishes), return_exceptions=True)
    assert len(phones.got) == 10
    assert sum(isinstance(a, TooManyError) and a.code == "codes_exhausted" for a in answers) == 70
    assert await tallied(db) == {"number": 10, "prefix": 10, "city": 30, "code": 10}  # refusals cost nobody anything
    clock.pass_by(minutes=1)
    await codes.send(wishes[-1])


async def test_a_code_that_could_not_be_sent_was_never_asked_for(db: Database, codes: OneTimeCodes, phones: Phones):
    phones.is_away = True
    with pytest.raises(UnavailableError, match="sms_away"):
        await codes.send(asking(1))
    assert +await tallied(db) == {}
    phones.is_away = False
    await codes.send(asking(1))


async def test_neighbouring_numbers_cost_work_and_the_work_is_for_one_number_and_two_minutes(
    codes: OneTimeCodes, phones: Phones, clock: Clock
):
    for n in range(20):
        await codes.send(asking(n))
    with pytest.raises(WorkNeededError) as needed:
        await codes.send(asking(20))
    proof = solved(needed.value)
    with pytest.raises(WorkNeededError):
        await codes.send(replace(asking(21), proof=proof))
    with pytest.raises(WorkNeededError):
        await codes.send(replace(asking(20), proof=Proof(proof.challenge, proof.solution + "0")))
    with pytest.raises(WorkNeededError):
        await codes.send(replace(asking(20), proof=Proof(f"1{proof.challenge[2:]}", "0")))  # one bit would do
    await codes.send(replace(asking(20), proof=proof))
    assert len(phones.got) == 21
    clock.pass_by(minutes=2)
    with pytest.raises(WorkNeededError):
        await codes.send(replace(asking(20), proof=proof))


@pytest.mark.parametrize("challenge", ["", ".", "16", "16.9999999999.aa.", "x.y.z.w", "１６.9.a.b"])
async def test_a_puzzle_that_is_not_ours_is_no_proof(codes: OneTimeCodes, challenge: str):
    for n in range(20):
        await codes.send(asking(n))
    with pytest.raises(WorkNeededError):
        await codes.send(replace(asking(20), proof=Proof(challenge, "0")))


async def test_a_prefix_whose_people_type_their_codes_in_costs_nobody_work(codes: OneTimeCodes, phones: Phones):
    for n in range(30):
        sent = await codes.send(asking(n))
        if n % 4 == 0:
            await codes.check(sent.request, phones.code, LOG_IN)


async def test_a_network_works_after_ten_codes_whichever_of_its_addresses_asks(codes: OneTimeCodes):
    for n in range(10):
        await codes.send(asking(n * 10_000, origin=f"192.0.2.{n}"))
    with pytest.raises(WorkNeededError):
        await codes.send(asking(990_000, origin="192.0.2.200"))
    await codes.send(asking(990_000, origin="192.0.3.200"))


async def test_a_device_gets_ten_codes_an_hour(codes: OneTimeCodes):
    for n in range(10):
        await codes.send(asking(n * 10_000, device="d1"))
    with pytest.raises(TooManyError, match="code_too_soon"):
        await codes.send(asking(990_000, device="d1"))
    await codes.send(asking(990_000, device="d2"))


async def test_neither_numbers_nor_codes_stand_in_the_database(db: Database, codes: OneTimeCodes, phones: Phones):
    sent = await codes.send(asking(1, origin="192.0.2.1", device="d1"))
    stored = b"".join([bson.encode(document) async for document in db["one_time_codes"].find({})])
    assert sent.request.encode() in stored
    for secret in (phone(1), phones.code, phone(1)[:7], "192.0.2", "d1|"):
        assert secret.encode() not in stored


async def test_all_that_is_kept_is_forgotten_by_itself(db: Database, codes: OneTimeCodes):
    await codes.send(asking(1, origin="192.0.2.1", device="d1"))
    assert await db["one_time_codes"].count_documents({}) == 8
    assert await db["one_time_codes"].count_documents({"gone_at": {"$type": "date"}}) == 8
    indexes = await db["one_time_codes"].index_information()
    assert any("expireAfterSeconds" in index for index in indexes.values())


async def test_an_honest_client_gets_through_where_work_is_asked_for(codes: OneTimeCodes, phones: Phones):
    for n in range(20):
        await codes.send(asking(n))
    sent = await working(codes, asking(20))
    assert await codes.check(sent.request, phones.code, LOG_IN) == f"+86{phone(20)}"
