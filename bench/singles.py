"""Singles: one request per person, end to end, against the bare loop, and against a provider that takes its time."""

from __future__ import annotations

from bench.bare import BareJob
from bench.child import together
from bench.city import Run, Sent, Stage, Wish, account_of
from bench.figures import Row, spread
from channels.sandbox.faults import FaultScript, ProviderFaults
from server.domain.broadcasts import Lane

REACH = 0.6
LATENCY_REACH = 0.8
LATENCY_MS = 50.0
MANY_CONNECTIONS = 2_048


async def singles(stage: Stage) -> list[Row]:
    """Notices a second, end to end, over those of the bare loop; the better number of processes for each."""
    people, repeats = stage.sizes.people, stage.sizes.repeats
    settings = await stage.city(people)
    ours: dict[int, list[float]] = {}
    loop: dict[int, list[float]] = {}
    last: dict[str, object] = {}
    for processes in (1, 2):
        async with stage.town(settings, Wish(workers=processes)) as run:
            for _ in range(repeats):
                sent = await to_everyone(run, people)
                ours.setdefault(processes, []).append(sent.per_s)
                last[f"ours with {processes}"] = sent.cpu_s
                seconds, cpu = await together("bench.bare", _jobs(run, people, processes))
                loop.setdefault(processes, []).append(people / seconds)
                last[f"bare with {processes}"] = {"processes": round(cpu, 2), "seconds": round(seconds, 2)}
    best_ours = max(spread(runs).median for runs in ours.values())
    best_bare = max(spread(runs).median for runs in loop.values())
    ratio = best_ours / best_bare
    return [
        Row(
            name="singles",
            figure="singles end to end against the bare loop of the same transport (WeChat, plain h1)",
            reach=f">= {REACH}",
            measured=ratio,
            is_reached=ratio >= REACH,
            detail={
                "recipients": people,
                "ours_per_s_by_workers": {n: spread(runs) for n, runs in ours.items()},
                "bare_per_s_by_processes": {n: spread(runs) for n, runs in loop.items()},
                "cpu_s_of_the_last_run": last,
                "conditions": "no receipts; 256 connections a process; the sandbox fsyncs its journal, on both sides",
            },
        )
    ]


async def latency(stage: Stage) -> list[Row]:
    """The same broadcast to a provider that takes 50 ms to answer, against one that answers at once."""
    people = stage.sizes.people
    settings = await stage.city(people)
    speeds: dict[float, list[float]] = {0.0: [], LATENCY_MS: []}
    async with stage.town(settings, Wish(connections=MANY_CONNECTIONS)) as run:
        for _ in range(stage.sizes.repeats):
            for ms, runs in speeds.items():
                script = FaultScript(wechat=ProviderFaults(latency_ms=ms))
                await run.town.control("faults", script.model_dump(mode="json"))
                runs.append((await to_everyone(run, people)).per_s)
    slow, fast = spread(speeds[LATENCY_MS]), spread(speeds[0.0])
    ratio = slow.median / fast.median
    return [
        Row(
            name="latency",
            figure="singles to a provider that takes 50 ms, against the same without latency",
            reach=f">= {LATENCY_REACH}",
            measured=ratio,
            is_reached=ratio >= LATENCY_REACH,
            detail={"recipients": people, "connections": MANY_CONNECTIONS, "slow_per_s": slow, "fast_per_s": fast},
        )
    ]


async def to_everyone(run: Run, people: int) -> Sent:
    """One blue WeChat broadcast to the whole city."""
    return await run.send(run.whole_city(Lane.BLUE, "wechat"), people)


def _jobs(run: Run, people: int, processes: int) -> list[BareJob]:
    account = account_of(run.town.settings, "wechat")
    texts = run.whole_city(Lane.BLUE, "wechat").texts
    share = people // processes
    return [BareJob(account=account, text=texts["wechat"]["zh"], count=share, seed=n) for n in range(processes)]
