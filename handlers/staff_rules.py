"""The counter of rules over HTTP: /v1/staff/rules. Every rule about states, persons and divisions is the services'."""

from __future__ import annotations

from handlers.base import ApiHandler
from handlers.rule_views import (
    RuleCheckView,
    RuleDiffQuery,
    RuleDiffView,
    RuleFault,
    RuleLine,
    RuleNote,
    RulePage,
    RuleRelease,
    RulesQuery,
    RuleVersionsView,
    RuleVersionView,
    RuleView,
)
from server.domain.errors import InvalidInputError
from server.domain.rule_life import Kept
from server.domain.rules import Rule
from server.services.rules import RuleOffice, Standing


class RuleHandler(ApiHandler):
    """What the handlers share."""

    def initialize(self, office: RuleOffice) -> None:
        """`office` asks the policy."""
        self.office = office

    def tell(self, kept: Kept, status: int = 200) -> None:
        """A version, with the ETag that If-Match names."""
        self.mark(f'"v{kept.edit}"')
        self.respond(RuleVersionView.of(kept), status)


class RulesHandler(RuleHandler):
    """/v1/staff/rules."""

    async def get(self) -> None:
        """By id."""
        query = self.asked(RulesQuery)
        page = await self.office.page(self.officer, query.after, query.limit)
        following = page[-1].id if len(page) == query.limit else None
        self.link_next({"after": following})
        self.respond(RulePage(rules=tuple(map(_line, page)), next=following))

    async def post(self) -> None:
        """Draft a new rule, or the next version of one."""
        self.tell(await self.office.draft(self.officer, self.given(Rule)), 201)


class RuleCheckHandler(RuleHandler):
    """/v1/staff/rule-checks."""

    async def post(self) -> None:
        """Everything that is wrong with a rule that is not kept."""
        faults = await self.office.check(self.given(Rule))
        self.respond(RuleCheckView(faults=tuple(map(RuleFault.of, faults))))


class OneRuleHandler(RuleHandler):
    """/v1/staff/rules/{rule}."""

    async def get(self, rule: str) -> None:
        """What lies on the desk, and what is in force; the ETag is of the desk."""
        found = await self.office.get(self.officer, rule)
        desk, force = ((RuleVersionView.of(each) if each else None) for each in (found.desk, found.force))
        newest = found.desk or found.force
        assert newest is not None
        self.mark(f'"v{newest.edit}"')
        self.respond(RuleView(id=rule, desk=desk, force=force))

    async def put(self, rule: str) -> None:
        """Write over the draft that one has seen; what was handed in has to be handed in again."""
        edit, given = self.version, self.given(Rule)
        if given.id != rule:
            raise InvalidInputError("rule_renamed", zh="规则编号不能更改", en="a rule keeps its id", field="id")
        self.tell(await self.office.write(self.officer, given, edit))


class RuleSubmitHandler(RuleHandler):
    """/v1/staff/rules/{rule}/submit."""

    async def post(self, rule: str) -> None:
        """Hand it in; the digest of the answer is what the second person confirms."""
        self.tell(await self.office.submit(self.officer, rule, self.version))


class RuleReturnHandler(RuleHandler):
    """/v1/staff/rules/{rule}/return."""

    async def post(self, rule: str) -> None:
        """Back to those who write."""
        self.tell(await self.office.send_back(self.officer, rule, self.version, self.given(RuleNote).note))


class RuleReleaseHandler(RuleHandler):
    """/v1/staff/rules/{rule}/release."""

    async def post(self, rule: str) -> None:
        """Put it in force."""
        self.tell(await self.office.release(self.officer, rule, self.given(RuleRelease).digest))


class RuleStopHandler(RuleHandler):
    """/v1/staff/rules/{rule}/stop."""

    async def post(self, rule: str) -> None:
        """The stop button."""
        self.tell(await self.office.stop(self.officer, rule, self.given(RuleNote).note))


class RuleResumeHandler(RuleHandler):
    """/v1/staff/rules/{rule}/resume."""

    async def post(self, rule: str) -> None:
        """In force again."""
        self.tell(await self.office.resume(self.officer, rule, self.given(RuleNote).note))


class RuleVersionsHandler(RuleHandler):
    """/v1/staff/rules/{rule}/versions."""

    async def get(self, rule: str) -> None:
        """All of them, newest first."""
        found = await self.office.versions(self.officer, rule)
        self.respond(RuleVersionsView(versions=tuple(map(RuleVersionView.of, found))))


class RuleVersionHandler(RuleHandler):
    """/v1/staff/rules/{rule}/versions/{rule_version}."""

    async def get(self, rule: str, rule_version: str) -> None:
        """One of them."""
        self.tell(await self.office.version(self.officer, rule, int(rule_version)))


class RuleDiffHandler(RuleHandler):
    """/v1/staff/rules/{rule}/diff."""

    async def get(self, rule: str) -> None:
        """What differs between two versions."""
        query = self.asked(RuleDiffQuery)
        found = await self.office.diff(self.officer, rule, query.before, query.after)
        self.respond(RuleDiffView(before=query.before, after=query.after, changes=found))


def _line(standing: Standing) -> RuleLine:
    newest = standing.desk or standing.force
    assert newest is not None
    rule = newest.rule
    return RuleLine(
        id=standing.id, title=rule.title.zh, unit=rule.unit, lane=rule.lane, item=rule.item,
        force=standing.force.state if standing.force else None,
        version=standing.force.version if standing.force else 0,
        desk=standing.desk.state if standing.desk else None,
    )  # fmt: skip
