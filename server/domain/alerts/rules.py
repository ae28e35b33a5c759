"""The rule table CAP-001 .. CAP-041: what a message has to keep, as data.

A row says how grave a fault is for an author and on intake (None = not asked there) and what facts the rule needs; a
rule whose facts are unknown is not run. On intake we lean towards publishing: only what cannot be read, attributed or
trusted, or what repeats a live alert, is withheld (QUARANTINE); the rest goes out with the defect on record.

`check` runs them all, whatever the message is. A crash in a rule of ours is a finding like any other ("internal"): it
must never keep a warning from the people.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from server.domain.alerts import rules_area as area
from server.domain.alerts import rules_chain as chain
from server.domain.alerts import rules_header as header
from server.domain.alerts import rules_info as info
from server.domain.alerts.context import Context, Message, Profile
from server.domain.alerts.finding import Fault, Finding, Gravity
from server.domain.alerts.model import Alert

Test = Callable[[Message, Context], Iterable[Fault]]
MAX_FINDINGS = 200  # of one rule: a message with more is not going to be mended by hand
E, W, Q = Gravity.ERROR, Gravity.WARNING, Gravity.QUARANTINE


def by_reader(_: Message, __: Context) -> Iterator[Fault]:
    """CAP-001 and CAP-002 concern the bytes: `reading` finds them; a message that exists as a model keeps them."""
    yield from ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One row."""

    code: str
    author: Gravity | None
    intake: Gravity | None
    test: Test
    zh: str
    en: str
    needs: tuple[str, ...] = ()


RULES: tuple[Rule, ...] = (
    Rule("CAP-001", E, Q, by_reader,
         zh="合格的 XML，无 DTD 和实体，大小适当", en="well-formed XML, no DTD or entities, of bounded size"),
    Rule("CAP-002", E, Q, by_reader,
         zh="根元素为 CAP 1.2、CAP 1.1 或国突的 alert", en="the root is the alert of CAP 1.2, CAP 1.1 or 国突"),
    Rule("CAP-003", E, W, header.schema,
         zh="符合模式，元素顺序正确", en="valid by the schema, elements in order"),
    Rule("CAP-004", E, W, header.identifier,
         zh="identifier 非空，不含空格、逗号、< 和 &", en="identifier not empty, without space , < &"),
    Rule("CAP-004", E, Q, header.identifier_is_new, needs=("history",),
         zh="identifier 从不重复使用", en="an identifier is never used again"),
    Rule("CAP-005", E, W, header.sender,
         zh="sender 非空，不含空格、逗号、< 和 &", en="sender not empty, without space , < &"),
    Rule("CAP-005", E, Q, header.sender_is_registered, needs=("registered_senders",),
         zh="sender 已登记", en="sender is registered"),
    Rule("CAP-006", E, W, header.times,
         zh="时间形如 2026-11-24T09:00:00+08:00", en="times like 2026-11-24T09:00:00+08:00"),
    Rule("CAP-007", E, W, header.sent_is_now, needs=("now",),
         zh="sent 不超前两分钟、不早于 24 小时", en="sent at most 2 min ahead and 24 h old"),
    Rule("CAP-008", E, W, header.references,
         zh="更新、解除必须引用前报文", en="who updates or cancels refers to what"),
    Rule("CAP-009", E, W, chain.reference_exists, needs=("history",),
         zh="引用的报文存在且属于本单位", en="a reference exists and is the sender's own"),
    Rule("CAP-010", E, W, chain.references_all, needs=("history",),
         zh="引用链上所有未到期报文", en="all open messages of the chain are referenced"),
    Rule("CAP-011", E, W, chain.one_chain, needs=("history",),
         zh="引用只涉及一个预警", en="references lead to one chain"),
    Rule("CAP-012", E, W, chain.chain_is_live, needs=("history",),
         zh="已解除或到期的预警不可再更新", en="nothing follows a cancelled or expired chain"),
    Rule("CAP-013", W, Q, chain.is_no_reissue, needs=("history",),
         zh="内容相同应发更新", en="the same content again is an Update"),
    Rule("CAP-014", E, W, header.scope,
         zh="restriction 配 Restricted，addresses 配 Private",
         en="restriction with Restricted, addresses with Private"),
    Rule("CAP-015", E, W, header.exercise_note,
         zh="演练和差错须有 note", en="an exercise or error has a note"),
    Rule("CAP-016", E, W, header.has_info,
         zh="实际预警须有 info", en="an actual alert has info"),
    Rule("CAP-017", E, W, info.language,
         zh="语言代码正确且不重复", en="language tags are right and not repeated"),
    Rule("CAP-018", E, W, info.blocks_agree,
         zh="各语言段落一致", en="language blocks agree"),
    Rule("CAP-019", W, W, info.text_fits_language,
         zh="文字与语言相符", en="the text is in its language"),
    Rule("CAP-020", E, W, info.values,
         zh="枚举值准确", en="values are those of the lists"),
    Rule("CAP-021", W, W, info.unknowns,
         zh="不建议 Unknown", en="Unknown is discouraged"),
    Rule("CAP-022", E, W, info.expiry,
         zh="expires 晚于其他时间", en="expires is there and after all other times"),
    Rule("CAP-022", E, W, info.is_over, needs=("now",),
         zh="尚未到期", en="it has not expired"),
    Rule("CAP-023", W, W, info.duration,
         zh="时效不过长", en="it does not last unusually long"),
    Rule("CAP-024", E, W, area.has_area,
         zh="有区域且有范围", en="there is an area, and it has a geometry"),
    Rule("CAP-025", E, W, area.polygons,
         zh="多边形闭合、有效、不自相交", en="polygons are closed, on earth and do not cross themselves"),
    Rule("CAP-026", W, W, area.swapped,
         zh="纬度在前、经度在后", en="latitude comes before longitude"),
    Rule("CAP-027", E, W, area.circles,
         zh="圆为“纬度,经度 半径”", en='a circle is "lat,lon radius"'),
    Rule("CAP-028", E, W, area.limits,
         zh="多边形和坐标数量有限", en="a bounded number of polygons and points"),
    Rule("CAP-029", W, W, area.geocodes,
         zh="区划代码格式正确", en="geocodes have the right form"),
    Rule("CAP-029", W, W, area.divisions, needs=("is_known_division",),
         zh="区划代码存在", en="divisions are known"),
    Rule("CAP-030", W, W, area.holes,
         zh="排除多边形可读", en="an excluded polygon can be read"),
    Rule("CAP-031", E, W, area.jurisdiction, needs=("may_warn",),
         zh="区域在发布单位辖区内", en="the area is within the sender's division"),
    Rule("CAP-032", E, W, area.altitudes,
         zh="ceiling 不低于 altitude", en="a ceiling stands on an altitude"),
    Rule("CAP-033", W, None, info.headline,
         zh="标题简短，各段文字不同", en="texts are short and differ"),
    Rule("CAP-034", E, W, info.markup,
         zh="文字不含 HTML", en="no HTML in texts"),
    Rule("CAP-035", E, None, info.lengths,
         zh="各渠道文字不超长", en="texts fit their channels"),
    Rule("CAP-036", E, W, info.links,
         zh="链接完整，附件相符", en="links are absolute, files match their digest"),
    Rule("CAP-037", W, None, info.advice,
         zh="重大预警说明该做什么", en="a grave alert says what to do"),
    Rule("CAP-038", E, W, header.cancel_reason,
         zh="解除须说明原因", en="a Cancel gives its reason"),
    Rule("CAP-039", E, W, header.signature, needs=("signature",),
         zh="签名符合要求", en="the signature is as required"),
    Rule("CAP-040", E, None, chain.two_persons, needs=("approval",),
         zh="起草、提交、审批分离", en="author, submitter and approver are different people"),
    Rule("CAP-041", E, None, chain.may_leave, needs=("departure",),
         zh="发出前复核", en="checked again at the moment of sending"),
)  # fmt: skip


def check(
    message: Alert | Message, profile: Profile, context: Context | None = None, table: Sequence[Rule] = RULES
) -> list[Finding]:
    """Every finding of every rule that applies, in the order of the table. Never raises, never stops early."""
    subject = Message(message) if isinstance(message, Alert) else message
    facts = context or Context()
    return [finding for rule in table for finding in _findings(rule, subject, profile, facts)]


def finding(code: str, fault: Fault, profile: Profile, lines: Mapping[str, int] | None = None) -> Finding:
    """A fault with the gravity its row gives it."""
    row = next(rule for rule in RULES if rule.code == code)
    return _filed(row, fault, profile, lines or {})


def _findings(rule: Rule, message: Message, profile: Profile, facts: Context) -> list[Finding]:
    gravity = rule.author if profile is Profile.AUTHOR else rule.intake
    if gravity is None or any(getattr(facts, name) is None for name in rule.needs):
        return []
    try:
        faults = islice(rule.test(message, facts), MAX_FINDINGS)
        return [_filed(rule, fault, profile, message.lines) for fault in faults]
    except Exception:  # noqa: BLE001 - a bug in one rule must not hide the other rules' findings nor stop a warning
        where = traceback.format_exc(limit=-1, chain=False).strip().splitlines()
        text = f"{rule.code}: {where[-1]}"
        return [
            Finding("internal", "/alert", Gravity.WARNING, f"检查程序出错：{text}", f"a check of ours crashed: {text}")
        ]


def _filed(rule: Rule, fault: Fault, profile: Profile, lines: Mapping[str, int]) -> Finding:
    gravity = (rule.author if profile is Profile.AUTHOR else fault.intake or rule.intake) or Gravity.WARNING
    line = fault.line if fault.line is not None else _line(fault.path, lines)
    return Finding(rule.code, fault.path, gravity, fault.zh, fault.en, line, fault.patch)


def _line(path: str, lines: Mapping[str, int]) -> int | None:
    """The line of an element, or of the nearest one around it."""
    while path:
        if path in lines:
            return lines[path]
        path = path.rpartition("/")[0]
    return None
