"""Receipts and results over HTTP: the paper for its owner, the page behind its QR code for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from io import BytesIO
from typing import Any

import segno
from pydantic import BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from server.domain.china import CHINA
from server.services.papers import MAX_PAPER, PaperKind, Papers, Verified

SVG = "image/svg+xml"
HTML = "text/html"
_CONTENT = {
    "iss": "urn:huimin:440300",
    "kind": "receipt",
    "sub": "440305-20261124-01234567-6",
    "iat": 1795484970,
    "item": "elder-allowance",
    "version": 3,
    "name": "高龄老人津贴申领",
    "unit": "sz-civil-affairs",
}
_PAPER = "eyJhbGciOiJFZERTQSIsImtpZCI6Ij..."


def _example(value: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": value})


class PaperView(BaseModel):
    """A signed paper; `address` is what its QR code holds."""

    model_config = _example({"paper": _PAPER, "address": f"/v1/papers/verify?paper={_PAPER}"})

    paper: str = Field(description="a JWS (RFC 7515), EdDSA")
    address: str


class PaperQuery(BaseModel):
    """The paper."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paper: str = Field(min_length=20, max_length=MAX_PAPER, pattern=r"^[A-Za-z0-9_.-]+$", examples=[_PAPER])


class PaperForm(PaperQuery):
    """The paper."""

    model_config = _example({"paper": _PAPER})


class VerifiedView(BaseModel):
    """What the paper says."""

    model_config = _example({"kind": "receipt", "content": _CONTENT, "is_current": True, "state": "accepted"})

    kind: PaperKind
    content: Mapping[str, Any]
    is_current: bool = Field(description="whether what it says still stands")
    state: str = Field(description="where the application is now")


class KeysView(BaseModel):
    """The city's public keys (RFC 7517)."""

    model_config = _example({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "0011223344556677", "x": "11qYAYKx..."}]})

    keys: tuple[Mapping[str, str], ...]


class PaperHandler(ApiHandler):
    """The paper of one application."""

    def initialize(self, papers: Papers, kind: PaperKind) -> None:
        """`papers` writes them."""
        self.papers = papers
        self.kind = kind

    async def get(self, application: str) -> None:
        """Signed."""
        paper = await self.papers.of(self.caller, application, self.kind)
        self.respond(PaperView(paper=paper, address=self.papers.address(paper)))


class PaperCodeHandler(PaperHandler):
    """Its QR code."""

    async def get(self, application: str) -> None:
        """As SVG."""
        paper = await self.papers.of(self.caller, application, self.kind)
        out = BytesIO()
        segno.make(self.papers.address(paper), error="m").save(out, kind="svg", scale=4)
        self.set_header("Content-Type", SVG)
        self.finish(out.getvalue())


class VerifyHandler(ApiHandler):
    """Whether a paper is ours."""

    def initialize(self, papers: Papers) -> None:
        """`papers` reads them."""
        self.papers = papers

    async def post(self) -> None:
        """As JSON."""
        found = await self.papers.verify(self.given(PaperForm).paper)
        view = VerifiedView(kind=found.kind, content=found.content, is_current=found.is_current, state=found.state)
        self.respond(view)

    async def get(self) -> None:
        """As a page for people: what a QR code leads to."""
        found = await self.papers.verify(self.asked(PaperQuery).paper)
        self.set_header("Content-Type", f"{HTML}; charset=utf-8")
        self.finish(page_of(found).encode())


class KeysHandler(ApiHandler):
    """The public keys."""

    def initialize(self, papers: Papers) -> None:
        """`papers` has them."""
        self.papers = papers

    def get(self) -> None:
        """RFC 7517."""
        self.respond(KeysView(keys=tuple(self.papers.jwks["keys"])))


def page_of(found: Verified) -> str:
    """The page: plain, in both languages, without anything to run."""
    at = datetime.fromtimestamp(found.content["iat"], UTC).astimezone(CHINA)
    standing = ("有效", "in force") if found.is_current else ("内容已变更", "superseded")
    kind = ("受理回执", "Receipt") if found.kind is PaperKind.RECEIPT else ("办理结果", "Result")
    rows = [
        ("类型 Kind", f"{kind[0]} {kind[1]}"),
        ("事项 Item", found.content["name"]),
        ("编号 Number", found.content["sub"]),
        ("日期 Date", f"{at:%Y-%m-%d}"),
        ("状态 Standing", f"{standing[0]} {standing[1]}"),
    ]
    if found.kind is PaperKind.RESULT:
        rows.append(("结果 Outcome", "准予 granted" if found.content["is_granted"] else "不予 not granted"))
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in rows)
    title = "凭证真实 This paper is genuine"
    return (
        f'<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><h1>{title}</h1><dl>{told}</dl></html>"
    )
