"""The public notices that `run` begins with: two invented officers publish them, the way real ones do."""

from __future__ import annotations

from datetime import timedelta

from server.assemble import Assembly
from server.assemble_bulletins import bulletins
from server.commands.residents import UNIT
from server.domain.bulletins import Content
from server.domain.officers import Officer, Role
from server.services.bulletins import Asked
from server.storage.catalogues import load_bulletin_seeds


async def post_bulletins(assembly: Assembly) -> int:
    """Publish the seeds if the public sees nothing yet; how many."""
    parts = bulletins(assembly)
    if (await parts.bulletins.page(Asked(limit=1))).bulletins:
        return 0
    editor, approver = _officer("demo-editor", Role.EDITOR), _officer("demo-approver", Role.APPROVER)
    seeds = load_bulletin_seeds()
    for seed in seeds:
        now = assembly.now()
        words = {name: value for name, value in seed.items() if name != "days"}
        times = {"valid_from": now, "valid_until": now + timedelta(days=seed["days"])}
        drafted = await parts.office.draft(editor, Content.model_validate(words | times))
        handed = await parts.office.submit(editor, drafted.id, drafted.edit)
        assert handed.draft is not None
        await parts.office.publish(approver, handed.id, handed.draft.submitted)
    return len(seeds)


def _officer(name: str, role: Role) -> Officer:
    return Officer(
        id=name, person=name, name=name, roles=frozenset({role}), unit=UNIT, division=UNIT.division, events=()
    )
