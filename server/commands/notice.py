"""`notice`: tell one person something, as an operator does to see that all works, from the outbox to the phone."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from typing import Annotated

import typer
import uvloop

from server.commands.serve import assembled
from server.domain.errors import NotFoundError
from server.domain.wording import Words
from server.services.notices import TEMPLATE
from server.settings import load


def notice(
    phone: Annotated[str, typer.Argument(help="Whose: a phone number that a citizen has verified, +8613800000000.")],
    title: Annotated[str, typer.Argument(help="A few words; WeChat shows 20 characters.")],
    body: Annotated[str, typer.Argument(help="What it is about; WeChat shows 20 characters, push 240.")],
    *,
    key: Annotated[str, typer.Option(help="A notice under a key that was used before is not sent again.")] = "",
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell one citizen something, by WeChat, else push, else SMS. 个人通知. Workers send it within seconds."""
    key = key or secrets.token_hex(8)

    async def work() -> bool:
        async with assembled(load(os.environ)) as assembly:
            owners = await assembly.citizens.find_by_address("sms", [phone])
            if phone not in owners:
                raise NotFoundError("address_unknown", zh="没有人使用这个地址。", en="nobody has this address")
            return await assembly.notices.tell(owners[phone], Words(title, ""), Words(body, ""), key=key)

    async def inside() -> bool:
        return await asyncio.wait_for(work(), 60)

    is_new = uvloop.run(inside())
    if json_:
        typer.echo(json.dumps({"key": key, "is_new": is_new, "template": TEMPLATE}))
    else:
        typer.echo(f"{key}: {'a worker sends it now' if is_new else 'was told before; nothing is sent again'}")
