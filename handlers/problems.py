"""How an error looks on the wire: problem+json (RFC 9457) with a stable code, in the caller's language.

`title` says what is wrong, `detail` what to do next. One table turns classes of errors into statuses; codes that mean
something finer to HTTP stand in a second one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from server.domain import errors
from server.domain.faults import FaultyInputError

STATUS: Mapping[type[errors.HuiminError], int] = {
    errors.InvalidInputError: 422,
    errors.UnauthenticatedError: 401,
    errors.ForbiddenError: 403,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.TooManyError: 429,
    errors.UnavailableError: 503,
    errors.ConfigurationError: 500,
}
BY_CODE: Mapping[str, int] = {
    "json_invalid": 400,
    "query_invalid": 400,
    "alert_changed": 412,  # what If-Match named is no longer the newest
    "item_changed": 412,
    "profile_changed": 412,
    "application_changed": 412,
    "body_too_large": 413,
    "media_type_unknown": 415,
    "version_missing": 428,
}
# What tornado itself refuses, before a handler is asked.
HTTP: Mapping[int, tuple[str, str, str]] = {
    400: ("request_malformed", "请求无法读取", "the request cannot be read"),
    403: ("origin_foreign", "不接受其他网站发来的请求", "requests from other sites are not taken"),
    405: ("method_not_allowed", "此地址不支持该方法", "this path does not have this method"),
}
UNEXPECTED = ("unexpected", "服务暂时出错", "something broke here")
AWAY = ("database_away", "数据库暂时不可用", "the database is away")
_NEXT: Mapping[int, tuple[str, str]] = {
    400: ("请按 /openapi.json 检查请求格式后重发。", "Check the request against /openapi.json and send it again."),
    401: ("请先登录，再以 Authorization: Bearer 带上令牌。", "Log in and send the token as Authorization: Bearer."),
    403: ("请由有权限的人员办理。", "Ask somebody who may do this."),
    404: ("请核对编号或地址。", "Check the identifier or the path."),
    405: ("允许的方法见 Allow 响应头。", "The Allow header lists the methods of this path."),
    409: ("请重新读取后再决定。", "Load it again and decide anew."),
    412: ("请重新读取后在新版本上修改，并带上新的 If-Match。", "Load it again and change the new version."),
    413: ("请缩小内容后重发。", "Send less."),
    415: ("请改用 /openapi.json 所列的 Content-Type。", "Use a Content-Type that /openapi.json lists."),
    422: ("请更正所指字段后重发。", "Correct the field that is named and send it again."),
    428: ("请以 If-Match 带上所见版本（GET 返回的 ETag）。", "Send If-Match with the ETag of the version you saw."),
    429: ("请稍后再试，间隔见 Retry-After。", "Wait as long as Retry-After says and try again."),
    500: ("请稍后再试；如仍出错，请提供 request_id。", "Try again later; if it stays, report the request_id."),
    503: ("请稍后再试，间隔见 Retry-After。", "Wait as long as Retry-After says and try again."),
}  # fmt: skip
_NEXT_BY_CODE: Mapping[str, tuple[str, str]] = {
    "same_person": ("请由另一位有权人员发布。", "A second person has to release it."),
    "chief_needed": ("请由值班首长发布。", "A chief has to release it."),
    "idempotency_mismatch": (
        "新的请求请换用新的 Idempotency-Key。",
        "Take a new Idempotency-Key for a new request.",
    ),
    "idempotency_in_flight": (
        "请按 Retry-After 稍候，以同一 Idempotency-Key 重发。",
        "Wait as long as Retry-After says and send it again under the same Idempotency-Key.",
    ),
    "totp_stale": ("请重新输入动态口令后再试。", "Give a fresh one-time code, then try again."),
    "log_in_stale": ("请重新登录后再试。", "Log in again, then try again."),
    "erase_code_needed": (
        "请向自己的手机获取用途为 erase 的验证码，连同 request 重发。",
        "Ask /v1/codes for a code of the purpose `erase` to your phone and send it with its request.",
    ),
    "consent_needed": (
        "请先在 /v1/me/consents 同意该用途后重发。",
        "Agree to that purpose under /v1/me/consents and send it again.",
    ),
    "offer_needs_consent": (
        "请先在 /v1/me/consents 同意后再点一次；或在草稿中上传材料后提交。",
        "Agree under /v1/me/consents and accept again; or add the papers to the draft and hand it in.",
    ),
    "offer_needs_real_name": (
        "请先完成实名认证后再点一次；或在草稿中上传材料后提交。",
        "Verify your name and accept again; or add the papers to the draft and hand it in.",
    ),
    "offer_applied": ("请在“我的办件”查看进度。", "See how it stands under /v1/applications."),
    "alert_faulty": (
        "请用 validate 查看全部问题并修改。",
        "POST .../validate lists everything that is wrong, with patches.",
    ),
    "rule_faulty": (
        "请按 errors 逐项修改后再提交；/v1/staff/rule-checks 可先行检查。",
        "Mend each of `errors` and hand it in again; /v1/staff/rule-checks tells them beforehand.",
    ),
    "alert_unacknowledged": (
        "请在 acknowledged 中列出已知悉的警告代码，或修改内容。",
        "List the codes of the warnings you accept in `acknowledged`, or change the alert.",
    ),
    "asked_already": (
        "请由主管说明理由后以 ask-again 再次要求补正，或受理、不予受理。",
        "Decide on what is there, or have a supervisor ask again and say why: POST .../ask-again.",
    ),
    "proof_of_work_needed": (
        "请求过多：请求解 work 后，在 proof 中带上 challenge 与解重发。",
        "Too much is asked for: solve `work` and send it again with the challenge and the solution in `proof`.",
    ),
    "digest_changed": (
        "请重新预览，以新的摘要发布。",
        "Preview it again and release the digest that the preview shows.",
    ),
}
_Q = re.compile(r"([a-zA-Z*][\w-]*)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*$")


class FieldProblem(BaseModel):
    """One of several faults of an input."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str
    detail: str


class Work(BaseModel):
    """A puzzle: find a text so that SHA-256 of `<challenge>.<text>` begins with so many zero bits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    challenge: str
    bits: int


class Problem(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {
                "type": "urn:huimin:error:same_person",
                "title": "author, last editor and submitter may not decide",
                "status": 403,
                "detail": "A second person has to release it.",
                "code": "same_person",
                "request_id": "5f0c2b7a9d3e4c11",
            }
        },
    )

    type: str = Field(description="urn:huimin:error:<code>")
    title: str = Field(description="what is wrong, in the caller's language")
    status: int
    detail: str = Field(description="what to do next, in the caller's language")
    code: str = Field(description="stable; docs/errors.md lists all")
    request_id: str = Field(description="ties the answer to our log")
    field: str | None = Field(default=None, description="the input at fault, as a path: areas[0].divisions[1]")
    errors: tuple[FieldProblem, ...] = Field(default=(), description="every fault of the input, if there are several")
    allowed: tuple[str, ...] | None = Field(default=None, description="the actions that are allowed now, of a step")
    work: Work | None = Field(default=None, description="what to solve first, where the code is proof_of_work_needed")


def status_of(error: errors.HuiminError) -> int:
    """The HTTP status of an error of ours."""
    by_class = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)
    return BY_CODE.get(error.code, by_class)


def problem_of(error: errors.HuiminError, language: str, request_id: str) -> Problem:
    """An error of ours as its caller reads it."""
    status = status_of(error)
    found = problem(status, (error.code, error.zh, error.en), language, request_id)
    faults = error.faults if isinstance(error, FaultyInputError) and len(error.faults) > 1 else ()
    told = tuple(FieldProblem(field=each.field, detail=each.zh if language == "zh" else each.en) for each in faults)
    work = Work(challenge=error.challenge, bits=error.bits) if isinstance(error, errors.WorkNeededError) else None
    allowed = error.allowed if isinstance(error, errors.StepRefusedError) else None
    return found.model_copy(update={"field": error.field, "errors": told, "work": work, "allowed": allowed})


def problem(status: int, what: tuple[str, str, str], language: str, request_id: str) -> Problem:
    """`what`: code, zh, en."""
    code, zh, en = what
    next_zh, next_en = _NEXT_BY_CODE.get(code) or _NEXT.get(status) or _NEXT[500 if status >= 500 else 400]
    is_zh = language == "zh"
    return Problem(
        type=f"urn:huimin:error:{code}",
        title=zh if is_zh else en,
        status=status,
        detail=next_zh if is_zh else next_en,
        code=code,
        request_id=request_id,
    )


def language_of(accept: str) -> str:
    """The language, zh or en, that an Accept-Language header (RFC 9110, 12.5.4) likes more; zh if it does not say.

    >>> language_of("en-GB,en;q=0.9,zh;q=0.8"), language_of("zh-CN,en;q=0.5"), language_of("fr"), language_of("en;q=0")
    ('en', 'zh', 'zh', 'zh')
    """
    liked = {"zh": 0.0, "en": 0.0}
    for part in accept[:400].split(","):
        if match := _Q.match(part.strip()):
            name = match[1].lower().split("-")[0]
            if name in liked:
                liked[name] = max(liked[name], float(match[2] or 1))
    return "en" if liked["en"] > liked["zh"] else "zh"
