"""SMS with 200 numbers in a request, against single-recipient sends."""

from __future__ import annotations

from bench.city import Stage, Wish
from bench.figures import Row, spread
from bench.singles import to_everyone
from server.domain.broadcasts import Lane

REACH = 3.0


async def sms(stage: Stage) -> list[Row]:
    """Numbers a second over Tencent SMS (200 a request) over WeChat singles a second, both end to end in one town."""
    people = stage.sizes.people
    settings = await stage.city(people)
    numbers, singles = [], []
    async with stage.town(settings, Wish(sms=("sms_tencent",))) as run:
        for _ in range(stage.sizes.repeats):
            sent = await run.send(run.whole_city(Lane.BLUE, "sms"), people)
            numbers.append(sent.per_s)
            singles.append((await to_everyone(run, people)).per_s)
    many, one = spread(numbers), spread(singles)
    ratio = many.median / one.median
    return [
        Row(
            name="sms",
            figure="SMS at 200 numbers a request (Tencent) against singles (WeChat), numbers a second end to end",
            reach=f">= {REACH:.0f}x",
            measured=ratio,
            unit="x",
            is_reached=ratio >= REACH,
            detail={"recipients": people, "sms_per_s": many, "singles_per_s": one, "sms_cpu_s": sent.cpu_s},
        )
    ]
