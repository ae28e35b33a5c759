"""The part of the route table about citizens' log-ins, what they log in with, and their devices."""

from __future__ import annotations

from handlers.routing import CITIZEN, PUBLIC, Operation, Route
from handlers.session import (
    DeviceHandler,
    DevicesHandler,
    LogInsHandler,
    NewHolderHandler,
    OneLogInHandler,
    PhoneHandler,
    PhoneSessionHandler,
    ProofHandler,
    RefreshHandler,
    SessionHandler,
    WeChatHandler,
    WeChatPhoneHandler,
    WeChatSessionHandler,
)
from handlers.session_views import (
    CallerView,
    DeviceForm,
    DevicesView,
    DeviceView,
    IdentityProofForm,
    LogInsEnded,
    LogInsView,
    MeansView,
    NewHolderForm,
    PhoneCodeForm,
    PhoneForm,
    RefreshForm,
    TokensView,
    WeChatCodeForm,
    WeChatForm,
)
from server.assemble_log_in import LogInParts


def routes(parts: LogInParts) -> list[Route]:
    """All of them."""
    return [*_session(parts), *_means(parts), *_devices(parts)]


def _session(parts: LogInParts) -> list[Route]:
    own = {"log_ins": parts.log_ins}
    wechat = Operation(
        summary="Log in with a code of wx.login; who comes for the first time becomes a citizen",
        entry=PUBLIC, takes=WeChatForm, gives=TokensView, status=201,
    )  # fmt: skip
    phone = Operation(
        summary="Log in with a one-time code by SMS; who comes for the first time becomes a citizen",
        entry=PUBLIC, takes=PhoneForm, gives=TokensView, status=201,
        answers_as={
            202: "state proof_needed: this account has a verified name and does not know this device; "
            "send the answer's ticket to /v1/session/phone/proof or .../new-holder until its expires_at"
        },
    )  # fmt: skip
    proof = Operation(
        summary="Log in with a ticket and the last four characters of the ID number; three tries",
        entry=PUBLIC, takes=IdentityProofForm, gives=TokensView, status=201,
    )  # fmt: skip
    new_holder = Operation(
        summary="Log in with a ticket as the number's new owner; it leaves the account that had it, which is told",
        entry=PUBLIC, takes=NewHolderForm, gives=TokensView, status=201,
    )  # fmt: skip
    refresh = Operation(
        summary="New tokens for a refresh token, which works once (and for ten seconds more, with the same answer)",
        entry=PUBLIC, takes=RefreshForm, gives=TokensView,
    )  # fmt: skip
    session = {
        "GET": Operation(summary="Who one is", entry=CITIZEN, gives=CallerView),
        "DELETE": Operation(summary="Log out, at once; its device gets no push notices", entry=CITIZEN, status=204),
    }
    log_ins = {
        "GET": Operation(summary="Where one is logged in", entry=CITIZEN, gives=LogInsView),
        "DELETE": Operation(summary="Log out everywhere, here too", entry=CITIZEN, gives=LogInsEnded),
    }
    end = Operation(summary="End one of the own log-ins", entry=CITIZEN, status=204)
    return [
        Route("/v1/session", SessionHandler, session, {**own, "means": parts.means}),
        Route("/v1/session/wechat", WeChatSessionHandler, {"POST": wechat}, own),
        Route("/v1/session/phone", PhoneSessionHandler, {"POST": phone}, own),
        Route("/v1/session/phone/proof", ProofHandler, {"POST": proof}, own),
        Route("/v1/session/phone/new-holder", NewHolderHandler, {"POST": new_holder}, own),
        Route("/v1/session/refresh", RefreshHandler, {"POST": refresh}, own),
        Route("/v1/me/log-ins", LogInsHandler, log_ins, own),
        Route("/v1/me/log-ins/{log_in}", OneLogInHandler, {"DELETE": end}, own),
    ]


def _means(parts: LogInParts) -> list[Route]:
    own = {"means": parts.means}
    phone = {
        "POST": Operation(
            summary="Bind the phone of a one-time code in place of the old one; within 15 minutes of a log-in",
            entry=CITIZEN, takes=PhoneCodeForm, gives=MeansView,
        ),
        "DELETE": Operation(
            summary="Take the phone off, unless it is the last means; within 15 minutes of a log-in",
            entry=CITIZEN, status=204,
        ),
    }  # fmt: skip
    by_wechat = Operation(
        summary="Bind the phone that WeChat has verified (getPhoneNumber); within 15 minutes of a log-in",
        entry=CITIZEN, takes=WeChatCodeForm, gives=MeansView,
    )  # fmt: skip
    wechat = Operation(
        summary="Bind the WeChat account of a wx.login code; within 15 minutes of a log-in",
        entry=CITIZEN, takes=WeChatCodeForm, gives=MeansView,
    )  # fmt: skip
    return [
        Route("/v1/me/phone", PhoneHandler, phone, own),
        Route("/v1/me/phone/wechat", WeChatPhoneHandler, {"POST": by_wechat}, own),
        Route("/v1/me/wechat", WeChatHandler, {"POST": wechat}, own),
    ]


def _devices(parts: LogInParts) -> list[Route]:
    own = {"devices": parts.devices}
    devices = {
        "GET": Operation(summary="Apps that get push notices", entry=CITIZEN, gives=DevicesView),
        "PUT": Operation(
            summary="Register this log-in's app at FCM; a token is with whoever registered it last",
            entry=CITIZEN, takes=DeviceForm, gives=DeviceView,
        ),
    }  # fmt: skip
    device = {
        "GET": Operation(summary="One of them", entry=CITIZEN, gives=DeviceView),
        "DELETE": Operation(summary="No push notices there any more", entry=CITIZEN, status=204),
    }
    return [
        Route("/v1/me/devices", DevicesHandler, devices, own),
        Route("/v1/me/devices/{device}", DeviceHandler, device, own),
    ]
