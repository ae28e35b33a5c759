"""`rules rehearse` and `rules outcomes` as an operator sees them: figures of a rule before and after its run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from server import assemble
from server.__main__ import command_line
from server.assemble_applications import Nobody, applications
from server.assemble_booking import booking
from server.assemble_own_offers import own_offers
from server.settings import Settings
from server.storage.catalogue import CatalogueStore
from server.storage.mongo import Database
from tests.api.offer_town import BIRTHDAY, OfferTown

Huimin = Callable[..., Awaitable[Result]]
LIN = 2**42 + 81


@pytest.fixture
def huimin(db: Database, mongo_url: str, redis_url: str, tmp_path: Path) -> Huimin:
    urls = {"HUIMIN_MONGO_URL": mongo_url, "HUIMIN_REDIS_URL": redis_url, "HUIMIN_MONGO_DB": db.name}
    environ = urls | {"HUIMIN_HOME": str(tmp_path / "home"), "COLUMNS": "200"}

    async def run(*arguments: str) -> Result:
        """In a thread of its own, for a command runs its own loop."""
        return await asyncio.to_thread(CliRunner().invoke, command_line(), list(arguments), env=environ)

    return run


async def test_a_rule_is_rehearsed_then_run_and_its_outcomes_are_shown(
    huimin: Huimin, db: Database, mongo_url: str, redis_url: str
) -> None:
    async with assemble.assemble(Settings(mongo_url=mongo_url, redis_url=redis_url, mongo_db=db.name)) as assembly:
        town = OfferTown(assembly)
        await town.ready([BIRTHDAY])
        await town.is_eighty(LIN)
        ran = await huimin("rules", "rehearse", "elderly-80", "--json")
        assert ran.exit_code == 0, (ran.exception, ran.stderr)
        told = json.loads(ran.stdout)
        assert (told["found"], told["would_tell"], told["known"]) == (1, 1, 0)
        assert "您可以领取高龄津贴" in (await huimin("rules", "rehearse", "elderly-80")).stdout
        assert {each["unit"] async for each in db["uses"].find({"citizen": LIN})} == {"系统运维"}
        await town.run()
        apply = applications(assembly, CatalogueStore(db), Nobody(), booking(assembly).bookings)
        await own_offers(assembly, town.parts, apply).outcomes.recount()
        counted = json.loads((await huimin("rules", "outcomes", "--json")).stdout)["rules"]["elderly-80"]
        assert (counted["all"], counted["offered"], counted["accepted"]) == (1, 1, 0)
        assert "elderly-80" in (await huimin("rules", "outcomes")).stdout
        assert (await huimin("rules", "rehearse", "no-such-rule")).exit_code == 1
