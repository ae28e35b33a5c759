"""A process that imports a feed until it is through or somebody kills it.

python killed_import.py MONGO_URL FOLDER: a line with the number of lines is written whenever the cursor has moved.
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvloop

from server.storage import mongo
from server.storage.fact_imports import Import
from tests.services.facts_world import World


async def main(mongo_url: str, folder: str) -> None:
    """Import `feed.csv`."""

    def tell(at: Import) -> None:
        sys.stdout.write(f"{at.line}\n")
        sys.stdout.flush()

    async with mongo.client(mongo_url) as client:
        place = Path(folder)
        await World(mongo.database(client, "huimin_test"), place).run(place / "feed.csv", tell=tell)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
