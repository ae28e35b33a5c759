"""Files of applications: cleaned, sealed, named once, swept if nobody names them; the clock of nobody else's."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from server.domain.errors import InvalidInputError, NotFoundError, StepRefusedError
from server.services.attachments import LOOSE_FOR, Attachments, Upload
from server.storage.mongo import Database
from tests.domain.items import item
from tests.services.application_world import CLERK, OTHER, OWNER, Town, caller, race

MATERIAL = {"id": "id_card", "name": {"zh": "身份证", "en": "ID card"}}


def picture(kind: str = "JPEG", size: tuple[int, int] = (40, 20)) -> bytes:
    """A picture of somewhere, turned on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "SecretPhone"
    exif.get_ifd(0x8825)[2] = (22.0, 32.0, 0.0)
    out = BytesIO()
    Image.new("RGB", size, "red").save(out, kind, exif=exif, **({"comment": b"hidden"} if kind == "JPEG" else {}))
    return out.getvalue()


@pytest.fixture
def town(db: Database) -> Town:
    return Town(db, item(materials=[MATERIAL]))


def upload(data: bytes | None = None, kind: str = "image/jpeg", material: str = "id_card") -> Upload:
    return Upload(material, "证件.jpg", kind, picture() if data is None else data)


@pytest.mark.parametrize(("kind", "declared"), [("JPEG", "image/jpeg"), ("PNG", "image/png")])
async def test_a_picture_loses_what_the_camera_wrote_and_keeps_standing_upright(town: Town, kind: str, declared: str):
    draft = (await town.draft()).application
    seen = await town.attachments.add(caller(), draft.id, upload(picture(kind), declared))
    [brought] = seen.application.brought
    attachment, data = await town.attachments.read(caller(), draft.id, brought.ref)
    with Image.open(BytesIO(data)) as shown:
        assert (shown.size, dict(shown.getexif())) == ((20, 40), {})
    assert not any(word in data for word in (b"SecretPhone", b"hidden", b"Exif"))
    assert attachment.sha256 == brought.evidence


async def test_what_is_kept_opens_with_the_persons_key_alone(town: Town, db: Database):
    draft = (await town.draft()).application
    await town.attachments.add(caller(), draft.id, upload())
    stored = b"".join([bytes(d["data"]) async for d in db["attachment_data.chunks"].find()])
    assert stored
    assert b"\xff\xd8\xff" not in stored[:64]
    await town.people.shred(OWNER)
    assert await town.files.all_of(OWNER) == []


async def test_an_application_without_a_needed_material_is_not_handed_in(town: Town):
    draft = await town.draft()
    assert [each.id for each in draft.missing] == ["id_card"]
    with pytest.raises(StepRefusedError, match="application_incomplete"):
        await town.counter.submit(caller(), draft.application.id, 1, "k")
    seen = await town.attachments.add(caller(), draft.application.id, upload())
    await town.counter.submit(caller(), draft.application.id, seen.application.version, "k")
    with pytest.raises(StepRefusedError, match="application_closed"):
        await town.attachments.add(caller(), draft.application.id, upload())


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (upload(b""), "attachment_empty"),
        (upload(b"\xff\xd8\xff" + b"x" * 10_485_760), "body_too_large"),
        (upload(picture()[:200]), "picture_broken"),
        (upload(picture("PNG")), "attachment_disguised"),
        (upload(material="passport"), "material_unknown"),
    ],
)
async def test_a_bad_file_is_refused_and_leaves_nothing(town: Town, db: Database, bad: Upload, code: str):
    draft = (await town.draft()).application
    with pytest.raises(InvalidInputError) as caught:
        await town.attachments.add(caller(), draft.id, bad)
    assert caught.value.code == code
    assert await db["attachments"].count_documents({}) == 0


async def test_a_picture_that_claims_too_many_pixels_is_refused_before_it_is_unpacked(town: Town):
    draft = (await town.draft()).application
    huge = bytearray(picture("PNG"))
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    with pytest.raises(InvalidInputError, match=r"picture_(huge|broken)"):
        await town.attachments.add(caller(), draft.id, upload(bytes(huge), "image/png"))


async def test_what_the_scanner_refuses_is_not_kept(town: Town):
    class Wary:
        async def is_clean(self, data: bytes) -> bool:
            return not data

    draft = (await town.draft()).application
    wary = Attachments(town.ground, town.counter, town.desk, town.files, Wary())
    with pytest.raises(InvalidInputError, match="attachment_infected"):
        await wary.add(caller(), draft.id, upload())


async def test_files_that_come_at_once_are_all_named(town: Town):
    draft = (await town.draft()).application
    await race(*(town.attachments.add(caller(), draft.id, upload()) for _ in range(4)))
    assert len((await town.counter.get(caller(), draft.id)).application.brought) == 4


async def test_a_file_that_no_application_names_is_swept(town: Town, db: Database):
    draft = (await town.draft()).application
    seen = await town.attachments.add(caller(), draft.id, upload())
    await db["attachments"].update_many({}, {"$set": {"is_loose": True}})  # died before the mark
    await town.attachments.add(caller(OTHER), (await town.draft(OTHER)).application.id, upload())
    await db["attachments"].update_one({"citizen": OTHER}, {"$set": {"application": "gone", "is_loose": True}})
    town.clock.pass_(seconds=LOOSE_FOR.total_seconds() + 1)
    assert [await town.attachments.sweep(), await town.attachments.sweep()] == [1, 0]
    await town.attachments.read(caller(), draft.id, seen.application.brought[0].ref)
    assert await db["attachment_data.files"].count_documents({}) == 1


async def test_strangers_and_other_units_get_no_file_and_looks_are_noted(town: Town):
    draft = (await town.draft()).application
    seen = await town.attachments.add(caller(), draft.id, upload())
    ref = seen.application.brought[0].ref
    with pytest.raises(NotFoundError, match="application_unknown"):
        await town.attachments.read(caller(OTHER), draft.id, ref)
    with pytest.raises(NotFoundError, match="application_unknown"):
        await town.attachments.read_filed(CLERK, draft.id, ref)
    await town.counter.submit(caller(), draft.id, seen.application.version, "k")
    await town.attachments.read_filed(CLERK, draft.id, ref)
    assert "application.attachment" in town.log.actions()
    assert len((await town.uses.page(OWNER, "", 10))[0]) == 1


async def test_a_file_can_be_taken_away_and_a_deleted_draft_takes_its_files_along(town: Town, db: Database):
    draft = (await town.draft()).application
    one = (await town.attachments.add(caller(), draft.id, upload())).application
    two = (await town.attachments.add(caller(), draft.id, upload())).application
    await town.attachments.remove(caller(), draft.id, one.brought[0].ref)
    with pytest.raises(NotFoundError, match="attachment_unknown"):
        await town.attachments.read(caller(), draft.id, one.brought[0].ref)
    await town.counter.drop(caller(), draft.id, two.version + 1)
    assert await db["attachments"].count_documents({}) == 0
    assert await db["attachment_data.chunks"].count_documents({}) == 0
