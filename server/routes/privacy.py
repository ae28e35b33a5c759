"""What citizens do about their own data: consents, who used it, taking it away, being forgotten."""

from __future__ import annotations

from handlers.consents import Agreement, ConsentHandler, ConsentsHandler, ConsentsView, ConsentView
from handlers.erasure import ErasureHandler, ErasureRequest, ErasureView
from handlers.export import ZIP, ExportHandler
from handlers.routing import CITIZEN, Operation, Route
from handlers.uses import UsesHandler, UsesPage, UsesQuery
from server.assemble_privacy import PrivacyParts


def routes(parts: PrivacyParts) -> list[Route]:
    """The routes below /v1/me."""
    consents = {"consents": parts.consents}
    leaving = {"erasure": parts.erasure, "codes": parts.codes}
    listed = Operation(
        summary="What your data may be used for, and what you said to it", entry=CITIZEN, gives=ConsentsView
    )
    give = Operation(
        summary="Agree to a purpose, in the version that you read", entry=CITIZEN, takes=Agreement, gives=ConsentView
    )
    withdraw = Operation(summary="Take it back; it holds at once", entry=CITIZEN, gives=ConsentView)
    used = Operation(summary="Who used your data, newest first", entry=CITIZEN, query=UsesQuery, gives=UsesPage)
    export = Operation(
        summary="Everything we hold about you, as a ZIP of JSON and CSV; within 15 minutes of a log-in",
        entry=CITIZEN,
        gives_raw={ZIP: "PK..."},
    )
    erase = Operation(
        summary="Be forgotten: locked at once, erased within a day; within 15 minutes of a log-in, with a code by SMS",
        entry=CITIZEN,
        takes=ErasureRequest,
        gives=ErasureView,
        status=202,
    )
    return [
        Route("/v1/me/consents", ConsentsHandler, {"GET": listed}, consents),
        Route("/v1/me/consents/{purpose}", ConsentHandler, {"PUT": give, "DELETE": withdraw}, consents),
        Route("/v1/me/uses", UsesHandler, {"GET": used}, {"uses": parts.uses}),
        Route("/v1/me/export", ExportHandler, {"GET": export}, {"export": parts.export}),
        Route("/v1/me/erasure", ErasureHandler, {"POST": erase}, leaving),
    ]
