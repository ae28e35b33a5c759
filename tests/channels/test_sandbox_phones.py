"""The sandbox's phones show what was taken for them, so that a person can play a citizen by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from channels.sandbox.phones import MAX_PHONES, MAX_TEXTS, Phones
from channels.sandbox.process import SandboxFailedError, SandboxProcess
from tests.channels.sandbox_world import COMMAND


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxProcess]:
    process = await SandboxProcess.start(COMMAND, tmp_path_factory.mktemp("phones"))
    yield process
    await process.stop()


async def test_a_phone_that_got_nothing_shows_nothing(sandbox: SandboxProcess):
    assert await sandbox.control("GET", "texts?phone=%2B8613800000099") == {"texts": []}


@pytest.mark.parametrize("query", ["", "?number=1", "?phone=1&x=2", "?phone="])
async def test_who_does_not_name_a_phone_is_told_so(sandbox: SandboxProcess, query: str):
    with pytest.raises(SandboxFailedError, match="400"):
        await sandbox.control("GET", f"texts{query}")


def test_the_newest_texts_of_the_newest_phones_are_kept():
    phones = Phones(lambda: 0.0)
    for n in range(MAX_TEXTS + 2):
        phones.show(["first"], "sms_aliyun", "T", lambda n=n: str(n))
    phones.show(map(str, range(MAX_PHONES - 1)), "sms_tencent", "T", lambda: "")
    assert [text["text"] for text in phones.look("first")] == ["6", "5", "4", "3", "2"]
    phones.show(["one more"], "sms_aliyun", "T", lambda: "")
    assert phones.look("first") == []
    assert phones.look("one more")
