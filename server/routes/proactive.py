"""The routes of proactive service: the office of its rules."""

from __future__ import annotations

from handlers import rule_views as views
from handlers import staff_rules as staff
from handlers.routing import Operation, Route, officer
from server.assemble_proactive import ProactiveParts
from server.domain.access import Deed
from server.domain.rules import Rule

ONE = "/v1/staff/rules/{rule}"


def routes(parts: ProactiveParts) -> list[Route]:
    """The lines of the table."""
    return [*_desk(parts), *_force(parts), *_history(parts)]


def _desk(parts: ProactiveParts) -> list[Route]:
    own, write, told = {"office": parts.office}, officer(Deed.RULE_WRITE), views.RuleVersionView
    rules = {
        "GET": Operation(
            summary="Rules by id: what is in force, what lies on the desk",
            entry=officer(Deed.RULE_READ), query=views.RulesQuery, gives=views.RulePage,
        ),
        "POST": Operation(
            summary="Draft a new rule, or the next version of one", entry=write, takes=Rule, gives=told, status=201
        ),
    }  # fmt: skip
    check = Operation(
        summary="Everything that is wrong with a rule; nothing is kept",
        entry=write, takes=Rule, gives=views.RuleCheckView,
    )  # fmt: skip
    one = {
        "GET": Operation(summary="One rule", entry=officer(Deed.RULE_READ), gives=views.RuleView),
        "PUT": Operation(
            summary="Write over the draft; what was handed in has to be handed in again",
            entry=write, takes=Rule, needs_version=True, gives=told,
        ),
    }  # fmt: skip
    submit = Operation(
        summary="Hand it in; the digest is what the second person confirms",
        entry=write, needs_version=True, gives=told,
    )  # fmt: skip
    back = Operation(
        summary="Back to those who write", entry=officer(Deed.RULE_RETURN), takes=views.RuleNote, needs_version=True,
        gives=told,
    )  # fmt: skip
    return [
        Route("/v1/staff/rules", staff.RulesHandler, rules, own),
        Route("/v1/staff/rule-checks", staff.RuleCheckHandler, {"POST": check}, own),
        Route(ONE, staff.OneRuleHandler, one, own),
        Route(f"{ONE}/submit", staff.RuleSubmitHandler, {"POST": submit}, own),
        Route(f"{ONE}/return", staff.RuleReturnHandler, {"POST": back}, own),
    ]


def _force(parts: ProactiveParts) -> list[Route]:
    own, told, fresh = {"office": parts.office}, views.RuleVersionView, officer(Deed.RULE_RELEASE, is_fresh=True)
    release = Operation(
        summary="Put it in force in place of the version before: another person than who wrote it",
        entry=fresh, takes=views.RuleRelease, gives=told,
    )  # fmt: skip
    stop = Operation(
        summary="Stop it: nothing of it is handed off any more, open offers are withdrawn",
        entry=officer(Deed.RULE_STOP), takes=views.RuleNote, gives=told,
    )  # fmt: skip
    resume = Operation(summary="Let it go on", entry=fresh, takes=views.RuleNote, gives=told)
    return [
        Route(f"{ONE}/release", staff.RuleReleaseHandler, {"POST": release}, own),
        Route(f"{ONE}/stop", staff.RuleStopHandler, {"POST": stop}, own),
        Route(f"{ONE}/resume", staff.RuleResumeHandler, {"POST": resume}, own),
    ]


def _history(parts: ProactiveParts) -> list[Route]:
    own, read = {"office": parts.office}, officer(Deed.RULE_READ)
    versions = Operation(summary="The versions of a rule, newest first", entry=read, gives=views.RuleVersionsView)
    version = Operation(summary="One version of a rule", entry=read, gives=views.RuleVersionView)
    diff = Operation(
        summary="What differs between two versions", entry=read, query=views.RuleDiffQuery, gives=views.RuleDiffView
    )
    return [
        Route(f"{ONE}/versions", staff.RuleVersionsHandler, {"GET": versions}, own),
        Route(f"{ONE}/versions/{{rule_version}}", staff.RuleVersionHandler, {"GET": version}, own),
        Route(f"{ONE}/diff", staff.RuleDiffHandler, {"GET": diff}, own),
    ]
