"""Push over h2 and TLS against firebase-admin's own sender: transport only, and end to end beside it."""

from __future__ import annotations

from bench import tls
from bench.baseline_firebase import PER_CALL
from bench.child import together
from bench.city import Run, Stage, Wish, account_of
from bench.figures import Row, spread, version_of
from bench.push_ours import PushJob
from server.domain.broadcasts import Lane

NAME = "firebase"
FIGURE = "push over h2 and TLS against firebase-admin send_each_async (transport only, one process each)"
REACH = 30.0


async def firebase(stage: Stage) -> list[Row]:
    """Messages a second of our channel and transport over those of firebase-admin, through the same proxy."""
    binary = tls.program()
    if binary is None:
        why = f"needs {tls.PROGRAM} in front of the sandbox: apt-get install {tls.PACKAGE}"
        return [Row(NAME, FIGURE, f">= {REACH:.0f}x", None, why=why)]
    sizes = stage.sizes
    settings = await stage.city(sizes.people)
    ours, theirs = [], []
    async with stage.town(settings, Wish(workers=0)) as run:
        port = run.town.sandbox.facts["port"]
        async with tls.front(binary, run.town.home / "tls", port) as front:
            over_tls = {"base_url": front.url, "http2": True, "ca_file": front.ca_file}
            run.change_accounts({"fcm": over_tls})
            account = account_of(run.town.settings, "fcm")
            for _ in range(sizes.repeats):
                job = PushJob(count=sizes.people, account=account)
                seconds, _ = await together("bench.push_ours", [job])
                ours.append(sizes.people / seconds)
                rival = PushJob(count=sizes.rivals, account=account)
                trusted = {"SSL_CERT_FILE": str(front.ca_file)}
                seconds, _ = await together("bench.baseline_firebase", [rival], trusted)
                theirs.append(sizes.rivals / seconds)
            await run.add_workers(2)
            whole = [await _end_to_end(run, sizes.people) for _ in range(sizes.repeats)]
    mine, other, full = spread(ours), spread(theirs), spread(whole)
    ratio = mine.median / other.median
    return [
        Row(
            name=NAME,
            figure=FIGURE,
            reach=f">= {REACH:.0f}x",
            measured=ratio,
            unit="x",
            is_reached=ratio >= REACH,
            detail={
                "ours_per_s": mine,
                "firebase_per_s": other,
                "end_to_end_per_s_2_workers": full,
                "end_to_end_over_firebase": full.median / other.median,
                "messages": {"ours": sizes.people, "firebase": sizes.rivals, "per_call": PER_CALL},
                "conditions": f"{version_of(binary)}, 1 proxy worker, plain h1 behind it; same message on both sides",
            },
        )
    ]


async def _end_to_end(run: Run, people: int) -> float:
    return (await run.send(run.whole_city(Lane.BLUE, "push"), people)).per_s
