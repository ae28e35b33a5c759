"""Over the API with the shipped neighbours: no virus gets in, no file without a scanner; a department fills forms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from channels.sandbox.clamd import EICAR
from channels.sandbox.process import SandboxProcess
from server.assemble import Assembly
from server.domain.citizens import Kind
from server.domain.real_name import RealName
from server.storage.real_names import RealNameStore
from tests.api.application_doors import PDF, Counter, counter_of, make_application
from tests.api.client import Citizens, Officers
from tests.channels.sandbox_world import COMMAND
from tests.domain.items import item
from tests.domain.numbers import id_number

OWNER = 2**42 + 21
SOURCE = {
    "name": "population",
    "title": {"zh": "人口库", "en": "Population register"},
    "fields": ["name", "id_number"],
    "purpose": "identity_check",
}
MATERIAL = {"id": "id_card", "name": {"zh": "身份证", "en": "ID card"}, "source": SOURCE}
INFECTED = PDF.replace(b"trailer", b"%" + EICAR + b"\ntrailer")


@pytest.fixture
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxProcess]:
    process = await SandboxProcess.start(COMMAND, tmp_path_factory.mktemp("neighbours"))
    yield process
    await process.kill()


@pytest.fixture
async def counter(
    assembly: Assembly, officers: Officers, citizens: Citizens, sandbox: SandboxProcess
) -> AsyncIterator[Counter]:
    settings = assembly.settings.model_copy(update=dict(sandbox.aids(["population"])))
    town = replace(assembly, settings=settings)
    async with counter_of(town, officers, citizens, item(materials=[MATERIAL])) as found:
        yield found


async def made(counter: Counter, token: str) -> str:
    """The path of a new draft."""
    return f"/v1/applications/{(await make_application(counter.assembly, counter.api, OWNER, token))['application']}"


async def test_a_virus_is_refused_and_a_dead_scanner_takes_nothing(
    counter: Counter, citizens: Citizens, sandbox: SandboxProcess
):
    api, mine = counter.api, await citizens.enter(OWNER)
    draft = await made(counter, mine)
    path = f"{draft}/attachments?material=id_card"
    sick = await api("POST", path, INFECTED, token=mine, Content_Type="application/pdf", Accept_Language="en")
    assert (sick.status, sick.code) == (422, "attachment_infected")
    assert (await api("POST", path, PDF, token=mine, Content_Type="application/pdf")).status == 201
    await sandbox.control("PUT", "faults", {"clamd": {"reset": 1}})
    cut = await api("POST", path, PDF, token=mine, Content_Type="application/pdf")
    assert (cut.status, cut.code) == (503, "scanner_away")
    await sandbox.kill()
    away = await api("POST", path, PDF, token=mine, Content_Type="application/pdf", Accept_Language="en")
    assert (away.status, away.code) == (503, "scanner_away")
    assert "counter" in away.json["title"]
    assert len((await api("GET", draft, token=mine)).json["brought"]) == 1
    assert await counter.assembly.db["attachments"].count_documents({}) == 1


async def test_a_department_is_asked_over_http_and_papers_remain_when_it_is_down(
    counter: Counter, citizens: Citizens, sandbox: SandboxProcess
):
    api, mine, town = counter.api, await citizens.enter(OWNER), counter.assembly
    names = RealNameStore(town.db, town.vault, town.person_vault)
    sealed = await names.seal(OWNER, RealName("王小明", id_number("101")), town.now(), Kind.PERSON)
    assert await names.bind(OWNER, sealed)
    await town.consents.give(OWNER, "use_department_data", 1)
    draft = await made(counter, mine)
    await sandbox.control("PUT", "faults", {"registers": {"unknown_code": 1}})
    wrong = await api("POST", f"{draft}/sources/population", b"", token=mine)
    assert (wrong.status, wrong.code) == (503, "source_away")
    await sandbox.control("PUT", "faults", {})
    asked = await api("POST", f"{draft}/sources/population", b"", token=mine)
    assert (asked.status, [each["means"] for each in asked.json["brought"]]) == (200, ["source"])
    assert (await sandbox.control("GET", "counts"))["registers"]["answered"] == 1
