"""Providers that are busy, slow, broken or closed, and databases that go away: the report stays true."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from channels.sandbox.client import Poster
from channels.sandbox.faults import Outage, ProviderFaults, ReceiptFaults
from server.commands.town import Process, environment
from server.domain.broadcasts import Lane
from server.domain.pages import in_doubt
from server.domain.wording import Kind
from tests.push.conftest import City, ids, until


def only(*channels: str):
    """Makes people who have only these channels."""
    return lambda _, c: replace(c, addresses={ch: v for ch, v in c.addresses.items() if ch in channels})


async def test_expired_tokens_are_replaced_and_sending_goes_on(city: City):
    await city.people(60, only("wechat", "push"))
    city.start()
    first = await city.release("tokens-1", Lane.RED)
    await city.finished(first)
    before = await city.sandbox.control("GET", "counts")
    await city.sandbox.control("POST", "expire-tokens")
    second = await city.release("tokens-2", Lane.RED, kind=Kind.ALERT)
    await city.finished(second)
    assert (await city.finding(second)).is_equal
    assert {i for _, i in city.journal(second)} == ids(city.citizens)
    after = await city.sandbox.control("GET", "counts")
    for name in ("wechat", "fcm"):
        refused = sum(n - before[name].get(key, 0) for key, n in after[name].items() if key.startswith("refused"))
        assert refused > 0, "the stale token was never used: this proves nothing"


async def test_after_too_many_the_account_rests_as_long_as_it_was_told(city: City):
    await city.people(30, only("push"))
    await city.faults(fcm=ProviderFaults(too_many=1.0, retry_after_s=2))
    city.start()
    red = await city.release("too-many", Lane.RED)

    async def refused() -> bool:
        return any(page.sent for page in await city.pages(red))

    await until(refused)
    told_at = city.now()
    await city.faults()
    await city.finished(red)
    assert min(e.at for e in city.entries(red)) >= told_at + timedelta(seconds=1.5)
    finding = await city.finding(red)
    assert finding.is_equal
    assert finding.statuses == {("push", "accepted"): 30}


async def test_sms_goes_to_the_second_provider_while_the_first_is_closed(city: City):
    await city.people(40, only("sms"))
    await city.faults(sms_aliyun=ProviderFaults(quota=1.0))
    city.start()
    red = await city.release("failover", Lane.RED)
    await city.finished(red)
    assert {e.provider for e in city.entries(red)} == {"sms_tencent"}
    assert city.journal(red) == {("sms", i): 1 for i in ids(city.citizens)}
    assert (await city.finding(red)).is_equal


async def test_a_provider_that_is_down_is_caught_up_with_when_it_is_back(city: City):
    await city.people(60, only("wechat"))
    await city.faults(wechat=ProviderFaults(down=(Outage(from_s=0, to_s=2.0),)))
    city.start()
    red = await city.release("down", Lane.RED)
    await city.finished(red)
    finding = await city.finding(red)
    assert finding.is_equal
    assert finding.statuses["wechat", "refused"] == 0


@pytest.mark.parametrize("lane", [Lane.RED, Lane.YELLOW])
async def test_doubts_are_sent_again_in_red_with_a_mark_and_never_in_yellow(city: City, lane: Lane):
    await city.people(120, only("wechat"))
    lost = ReceiptFaults(lost=1.0)
    await city.faults(wechat=ProviderFaults(reset=0.15, reset_after=0.15, receipts=lost))
    city.start()
    broadcast = await city.release(f"doubts-{lane.value}", lane, order=("wechat",))
    await city.finished(broadcast)
    finding = await city.finding(broadcast)
    assert finding.is_equal
    [page] = await city.pages(broadcast)
    twice = [i for (_, i), n in city.journal(broadcast).items() if n > 1]
    if lane is Lane.RED:
        assert len(page.resent) > 15
        assert twice
        assert set(twice) <= {page.to[i] for i in page.resent}
        assert finding.statuses["wechat", "unknown"] < len(page.resent)
    else:
        assert not page.resent
        assert not twice
        assert finding.statuses["wechat", "unknown"] > 15


async def test_a_code_that_nobody_has_seen_is_tried_a_little_and_never_called_delivered(city: City):
    await city.people(5, only("wechat"))
    await city.faults(wechat=ProviderFaults(unknown_code=1.0))
    city.start()
    red = await city.release("unlisted", Lane.RED)
    await city.finished(red)
    assert (await city.finding(red)).statuses == {("wechat", "refused"): 5}
    [page] = await city.pages(red)
    assert max(sent.attempt for sent in page.sent) == 2


async def test_a_wiped_redis_costs_seconds_and_no_notice(city: City):
    await city.people(200)
    city.start(rate_per_s=150)
    red = await city.release("flushed", Lane.RED)
    await city.sent(red, 50)
    await city.assembly.redis.flushall()
    await city.finished(red)
    assert city.journal(red) == {(ch, i): 1 for ch in ("wechat", "push", "sms") for i in ids(city.citizens)}
    assert (await city.finding(red)).is_equal


async def test_receipts_may_be_early_late_doubled_and_out_of_order(city: City):
    await city.people(60)
    early = ReceiptFaults(delay_ms=0, jitter_ms=0, doubled=0.5, reordered=0.5, undelivered=0.2)
    slow_answer = ProviderFaults(latency_ms=150, receipts=early)
    await city.faults(wechat=slow_answer, sms_aliyun=slow_answer)
    city.start()
    red = await city.release("receipts", Lane.RED)
    await city.finished(red)
    await city.receipts()
    finding = await city.finding(red)
    assert finding.is_equal
    for channel in ("wechat", "sms"):
        assert finding.statuses[channel, "delivered"] + finding.statuses[channel, "undelivered"] == 60
        assert finding.statuses[channel, "undelivered"] > 0


async def test_a_receipt_of_an_old_warning_does_not_mark_a_new_one_that_has_not_left(city: City):
    await city.people(20, only("wechat"))
    await city.faults(wechat=ProviderFaults(reset_after=1.0, receipts=ReceiptFaults(delay_ms=60_000)))
    city.start()
    blue = await city.release("old", Lane.BLUE, order=("wechat",))
    await city.finished(blue)
    assert (await city.finding(blue)).statuses == {("wechat", "unknown"): 20}
    await city.drain()
    await city.faults()
    red = await city.release("new", Lane.RED)
    planner = city.worker(rate_per_s=1)  # plans, and sends next to nothing
    city.start(planner)

    async def planned() -> bool:
        return bool(await city.pages(red))

    await until(planned)
    await city.receipts()
    await city.drain()
    city.start()
    await city.finished(red)
    assert {i for _, i in city.journal(red)} == ids(city.citizens)
    assert (await city.finding(red)).is_equal
    # Whoever was just being sent the new one leaves it open which of the two a receipt without a name meant.
    assert (await city.finding(blue)).statuses["wechat", "delivered"] >= 18


async def test_a_forged_or_replayed_receipt_is_forbidden_and_changes_nothing(city: City):
    [someone] = await city.people(1, only("wechat"))
    seen: list[tuple[str, bytes]] = []
    relay = await eavesdrop(city, seen)
    city.start()
    red = await city.release("forged", Lane.RED)
    await city.finished(red)
    await city.receipts()
    assert await city.standing(red, someone) == {"wechat": ["delivered"]}
    relay.close()
    target, body = next(one for one in seen if one[0].startswith("/v1/receipts/wechat"))
    before = await city.pages(red)
    url = city.callback.removesuffix("/v1/receipts") + target
    poster = Poster(asyncio.get_running_loop())
    assert (await poster.post(url, body, "application/xml", 5))[0] == 403  # the same again
    assert (await poster.post(url.replace("nonce=", "nonce=1"), body, "application/xml", 5))[0] == 403
    assert (await poster.post(url, body.replace(b"<Encrypt>", b"<Encrypt>A"), "application/xml", 5))[0] == 403
    for provider in ("sms_aliyun", "sms_tencent"):
        wrong = f"{city.callback}/{provider}/guess-guess-guess"
        assert (await poster.post(wrong, b'[{"phone_number":"1"}]', "application/json", 5))[0] == 403
    poster.close()
    assert await city.pages(red) == before


async def eavesdrop(city: City, seen: list[tuple[str, bytes]]) -> asyncio.Server:
    """Let the providers post to a relay that keeps what it hears."""
    origin = city.callback.removesuffix("/v1/receipts")

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length"))
        body, target = await reader.readexactly(size), head.split(" ")[1]
        seen.append((target, body))
        poster = Poster(asyncio.get_running_loop())
        status, answer = await poster.post(origin + target, body, "application/xml", 5)
        poster.close()
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(answer), answer)
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await city.sandbox.control("PUT", "callback", {"url": f"http://127.0.0.1:{port}/v1/receipts"})
    return server


async def test_sigterm_drains_a_worker_and_leaves_no_doubt_behind(city: City, tmp_path: Path):
    await city.people(200)
    paced = {"rate_per_s": 80}
    settings = city.assembly.settings
    assert settings.wechat
    assert settings.fcm
    settings = settings.model_copy(
        update={
            "wechat": settings.wechat.model_copy(update=paced),
            "fcm": settings.fcm.model_copy(update=paced),
            "sms": tuple(one.model_copy(update=paced) for one in settings.sms),
        }
    )
    worker = Process(["worker"], environment(settings), tmp_path / "worker.log")
    await worker.start()
    red = await city.release("drained", Lane.RED)
    await city.sent(red, 60)
    assert worker.pid
    assert await worker.stop() == 0
    pages = await city.pages(red)
    assert [in_doubt(page) for page in pages] == [[]] * len(pages)
    assert await city.assembly.db["pages"].find_one({"broadcast": red.id, "lease.owner": {"$ne": None}}) is None
    assert city.journal(red).total() < 600
    city.start()
    await city.finished(red)
    assert city.journal(red) == {(ch, i): 1 for ch in ("wechat", "push", "sms") for i in ids(city.citizens)}


async def test_a_sender_whose_page_was_taken_over_sends_nothing_more(city: City):
    await city.people(100, only("wechat"))
    city.start(rate_per_s=30)
    red = await city.release("stolen", Lane.RED)
    await city.sent(red, 15)
    theft = {"$set": {"lease.owner": "thief"}, "$inc": {"lease.attempt": 1}, "$currentDate": {"lease.at": True}}
    await city.assembly.db["pages"].update_one({"broadcast": red.id}, theft)
    stolen_at = city.now()
    await city.finished(red)  # the thief does nothing with it, and after three seconds it is taken back
    gap = (stolen_at + timedelta(seconds=0.6), stolen_at + timedelta(seconds=2.9))
    assert not [e for e in city.entries(red) if gap[0] < e.at < gap[1]]
    finding = await city.finding(red)
    assert finding.is_equal
    assert {i for _, i in city.journal(red)} == ids(city.citizens)


async def test_a_killed_workers_doubts_are_settled_by_whoever_takes_its_page(city: City):
    await city.people(40, only("wechat"))
    silent = ReceiptFaults(lost=1.0)
    await city.faults(wechat=ProviderFaults(hang_after=1.0, hang_s=60, receipts=silent))  # taken, never answered
    dead = city.worker()
    task = asyncio.create_task(dead.run(asyncio.Event()))
    red = await city.release("killed", Lane.RED)
    await city.sent(red, 40)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert all(in_doubt(page) for page in await city.pages(red))
    await city.faults()
    city.start()
    await city.finished(red)
    [page] = await city.pages(red)
    assert len(page.resent) == 40
    assert (await city.finding(red)).is_equal
    assert set(city.journal(red).values()) == {2}
