"""The document of a page in MongoDB, read and written: the shape that `storage/pages.py` tells."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

import structlog

from server.domain.broadcasts import UNREACHABLE, Lane
from server.domain.pages import (
    Page,
    PageState,
    Sent,
    ids_from_bytes,
    ids_to_bytes,
    shorts_from_bytes,
    shorts_to_bytes,
)
from server.storage.mongo import Document

log = structlog.get_logger()

Hint = tuple[str, str, Lane]  # page id, channel, lane


def to_document(page: Page) -> Document:
    """A new page, as it is inserted."""
    document: Document = {
        "_id": page.id,
        "broadcast": page.broadcast,
        "channel": page.channel,
        "number": page.number,
        "lane": page.lane.value,
        "state": PageState.DONE.value if page.channel == UNREACHABLE else page.state.value,
        "planned": page.id.rsplit("/", 1)[1].isdigit(),
        "lo": page.to[0],
        "hi": page.to[-1],
        "to": ids_to_bytes(page.to),
        "dv": shorts_to_bytes(page.divisions),
        "s": list(page.outcomes),
        "not_before": page.not_before,
        "expires_at": page.expires_at,
    }
    if page.about:
        document["about"] = list(page.about)
    return document


def to_hint(d: Document) -> Hint:
    """What announces a page."""
    return d["_id"], d["channel"], Lane(d["lane"])


def to_page(d: Document) -> Page:
    """A page as it was read; LookupError, TypeError, ValueError or struct.error if it is none."""
    lease = d.get("lease") or {}
    return Page(
        id=d["_id"],
        broadcast=d["broadcast"],
        channel=d["channel"],
        number=d["number"],
        lane=Lane(d["lane"]),
        state=PageState(d["state"]),
        to=ids_from_bytes(d["to"]),
        divisions=shorts_from_bytes(d["dv"]),
        not_before=d["not_before"],
        expires_at=d["expires_at"],
        outcomes=d["s"],
        why={int(i): reason for i, reason in d.get("why", {}).items()},
        sent=[Sent(_unpack_runs(packed), attempt, at, account) for packed, attempt, at, account in d.get("sent", ())],
        resent=frozenset(d.get("resent", ())),
        references=_unpack_references(d.get("refs", {})),
        about=d.get("about", ()),
        attempt=lease.get("attempt", 0),
        owner=lease.get("owner"),
        reason=d.get("reason", ""),
        tries=d.get("tries", 0),
        waits_until=d.get("waits_until"),
        is_fallen=d.get("is_fallen", False),
    )


def readable(documents: Iterable[Document]) -> list[Page]:
    """Those that are pages as this version knows them. The others stay leased until a lease has passed."""
    pages: list[Page] = []
    for document in documents:
        try:
            pages.append(to_page(document))
        except (LookupError, TypeError, ValueError, struct.error) as error:
            log.warning("page_unreadable", page=document["_id"], error=type(error).__name__)
    return pages


def _unpack_runs(packed: bytes) -> Sequence[int]:
    ends = shorts_from_bytes(packed)
    if len(ends) == 2:
        return range(ends[0], ends[1] + 1)
    return [i for a, b in zip(ends[::2], ends[1::2], strict=True) for i in range(a, b + 1)]


def _unpack_references(refs: Mapping[str, bytes]) -> dict[int, frozenset[bytes]]:
    found: dict[int, frozenset[bytes]] = {}
    for key in sorted(refs):
        packed = refs[key]
        for start in range(0, len(packed), 10):
            position = struct.unpack_from(">H", packed, start)[0]
            found[position] = found.get(position, frozenset()) | {packed[start + 2 : start + 10]}
    return found
