"""The city that `run` keeps up has public notices in both languages, once."""

from __future__ import annotations

from server.assemble import assemble
from server.assemble_bulletins import bulletins
from server.commands.bulletins import post_bulletins
from server.services.bulletins import Asked
from server.settings import Settings
from server.storage.mongo import Database


async def test_the_feeds_of_a_new_city_are_not_empty_and_a_second_start_adds_nothing(
    db: Database, mongo_url: str, redis_url: str
):
    async with assemble(Settings(mongo_url=mongo_url, redis_url=redis_url, mongo_db=db.name)) as assembly:
        count = await post_bulletins(assembly)
        assert await post_bulletins(assembly) == 0
        shown = (await bulletins(assembly).bulletins.page(Asked())).bulletins
        await assembly.redis.flushall()
    assert len(shown) == count >= 5
    assert all(each.title.en and each.body.en for each in shown)
    assert await db["broadcasts"].count_documents({"kind": "bulletin"}) == count
