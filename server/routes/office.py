"""The part of the route table that is the office's own: sessions, accounts, the log."""

from __future__ import annotations

from handlers.office_views import (
    AccountsView,
    AccountView,
    ActivationForm,
    ActivationView,
    AuditPage,
    AuditQuery,
    CodeForm,
    Ended,
    Invitation,
    LoggedIn,
    LogInForm,
    Recovery,
    RolesForm,
    SessionsView,
    SessionView,
    Verification,
)
from handlers.routing import PUBLIC, Operation, Route, officer
from handlers.staff_audit import AuditHandler, AuditVerificationHandler
from handlers.staff_officers import (
    OfficerLockHandler,
    OfficerRecoveryHandler,
    OfficerRolesHandler,
    OfficerSessionsHandler,
    OfficersHandler,
)
from handlers.staff_session import ActivationHandler, OneSessionHandler, SessionHandler, SessionsHandler, TotpHandler
from server.domain.access import Deed
from server.domain.officers import NewOfficer
from server.services.audit_reading import AuditReading
from server.services.officers import Officers


def session_routes(officers: Officers) -> list[Route]:
    """Logging in, and one's own sessions."""
    parts = {"officers": officers}
    own = officer(Deed.SESSION_OWN)
    session = {
        "POST": Operation(
            summary="Log in; the answer's token goes into Authorization: Bearer",
            entry=PUBLIC, takes=LogInForm, gives=LoggedIn, status=201,
        ),
        "GET": Operation(summary="Who one is, and until when", entry=own, gives=SessionView),
        "DELETE": Operation(summary="Log out", entry=own, status=204),
    }  # fmt: skip
    totp = Operation(
        summary="Show the second factor again: fresh for five minutes", entry=own, takes=CodeForm, gives=SessionView
    )
    sessions = {
        "GET": Operation(summary="The own live sessions", entry=own, gives=SessionsView),
        "DELETE": Operation(summary="Log out everywhere", entry=own, gives=Ended),
    }
    end = Operation(summary="End one of the own sessions", entry=own, status=204)
    activate = Operation(
        summary="Use a one-time link: set the password, get the second factor",
        entry=PUBLIC, takes=ActivationForm, gives=ActivationView,
    )  # fmt: skip
    return [
        Route("/v1/staff/session", SessionHandler, session, parts),
        Route("/v1/staff/session/totp", TotpHandler, {"POST": totp}, parts),
        Route("/v1/staff/sessions", SessionsHandler, sessions, parts),
        Route("/v1/staff/sessions/{session}", OneSessionHandler, {"DELETE": end}, parts),
        Route("/v1/staff/activation", ActivationHandler, {"POST": activate}, parts),
    ]


def office_routes(officers: Officers, audit: AuditReading) -> list[Route]:
    """Accounts, for administrators, and the log, for auditors."""
    parts, reading = {"officers": officers}, {"audit": audit}
    manage = officer(Deed.OFFICER_MANAGE, is_fresh=True)
    accounts = {
        "GET": Operation(summary="Accounts within reach", entry=officer(Deed.OFFICER_READ), gives=AccountsView),
        "POST": Operation(summary="Invite an officer", entry=manage, takes=NewOfficer, gives=Invitation, status=201),
    }
    lock = {
        "PUT": Operation(summary="Keep an officer out, at once", entry=manage, gives=AccountView),
        "DELETE": Operation(summary="Let an officer in again", entry=manage, gives=AccountView),
    }
    roles = Operation(summary="Give other roles, at once", entry=manage, takes=RolesForm, gives=AccountView)
    recover = Operation(
        summary="A new one-time link; password, second factor and sessions of before are void",
        entry=manage, gives=Recovery, status=201,
    )  # fmt: skip
    end = Operation(summary="End all sessions of an officer", entry=manage, gives=Ended)
    read = Operation(summary="The log, newest first", entry=officer(Deed.AUDIT_READ), query=AuditQuery, gives=AuditPage)
    verify = Operation(summary="Whether the log is whole", entry=officer(Deed.AUDIT_VERIFY), gives=Verification)
    one = "/v1/staff/officers/{officer}"
    return [
        Route("/v1/staff/officers", OfficersHandler, accounts, parts),
        Route(f"{one}/roles", OfficerRolesHandler, {"PUT": roles}, parts),
        Route(f"{one}/lock", OfficerLockHandler, lock, parts),
        Route(f"{one}/recover", OfficerRecoveryHandler, {"POST": recover}, parts),
        Route(f"{one}/sessions", OfficerSessionsHandler, {"DELETE": end}, parts),
        Route("/v1/staff/audit", AuditHandler, {"GET": read}, reading),
        Route("/v1/staff/audit/verify", AuditVerificationHandler, {"POST": verify}, reading),
    ]
