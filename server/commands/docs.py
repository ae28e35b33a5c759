"""`docs`: write the pages that are made from the route table and the source, so that no page can say another thing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import orjson
import typer
import uvloop

from handlers.routing import Route
from server import assemble_public
from server.app import admin_routes, public_routes, services_of, with_contract
from server.commands.rules import schema_text
from server.commands.serve import assembled
from server.error_codes import error_codes, errors_page
from server.reference import api_page
from server.settings import Settings
from server.storage.retention import rows

ROOT = Path(__file__).parent.parent.parent
FOLDER = "docs"
SCHEMA = Path("data", "rules", "rule.schema.json")


def docs(
    folder: Annotated[Path, typer.Option(help="Where the pages are written.")] = ROOT / FOLDER,
) -> None:
    """Write docs/api.md, docs/errors.md, the table of docs/privacy.md anew (starts a database for a moment).

    And beside the folder `data/rules/rule.schema.json`, if it is there.
    """
    privacy = folder / "privacy.md"
    table = {privacy.name: with_table(privacy.read_text("utf-8"), rows())} if privacy.exists() else {}
    schema = folder.parent / SCHEMA
    if schema.exists():
        schema.write_text(schema_text(), "utf-8")
    for name, text in (uvloop.run(_pages()) | table).items():
        (folder / name).write_text(text, "utf-8")
        typer.echo(f"{folder / name}")


def with_table(page: str, table: str) -> str:
    """The page with its one table replaced."""
    return re.sub(r"(?m)^\|(?:.*\n\|)*.*$", lambda _: table, page, count=1)


def pages_of(routes: Sequence[Route]) -> dict[str, str]:
    """The pages by name. `routes` end with the contract."""
    document = next(route.parts["document"] for route in routes if "document" in route.parts)
    return {"api.md": api_page(orjson.loads(document)), "errors.md": errors_page(error_codes(ROOT))}


async def _pages() -> dict[str, str]:
    """The table is made of live objects, so they are assembled; nothing is asked of them."""
    with TemporaryDirectory(prefix="huimin-docs-") as home:
        async with assembled(Settings(home=Path(home), mongo_url=None, redis_url=None)) as assembly:
            services = services_of(assembly, assemble_public.public(assembly))
            inside = admin_routes(assembly, lambda: b"")
            return pages_of(with_contract(public_routes(services), inside))
