"""Bytes from a stranger to an XML tree, or the reason why not.

Promises: no DTD, no entity, no network, no file; bounded size, depth and number of elements; a declared encoding of the
list below is read; whatever the bytes are, the answer comes in well under 100 ms and is a tree or a Fault, never an
exception. The text is decoded here, so libxml2 sees nothing but UTF-8.
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from server.domain.alerts.finding import Fault

MAX_BYTES = 1 << 20
MAX_ELEMENTS = 10_000
MAX_ATTRIBUTES = 2_000

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", ""),
    (b"\x00\x00\xfe\xff", ""),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_SHAPES = ((b"<\x00?\x00", "utf-16-le"), (b"\x00<\x00?", "utf-16-be"))  # XML 1.0, appendix F: no BOM but a declaration
_DECLARATION = re.compile(r"\s{0,99}<\?xml\s[^>]{0,200}?encoding\s{0,9}=\s{0,9}[\"']([A-Za-z0-9._:-]{1,40})[\"']")
_PROLOG = re.compile(r"(?:\s+|<\?(?:[^?]|\?(?!>))*+\?>|<!--(?:[^-]|-(?!->))*+-->)*+")
_ENCODINGS = {
    "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "ascii": "ascii",
    "gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "cp936": "gb18030", "hz-gb-2312": "hz",
    "big5": "big5hkscs", "big5-hkscs": "big5hkscs", "shift_jis": "cp932", "euc-jp": "euc_jp", "euc-kr": "euc_kr",
    "koi8-r": "koi8_r", "utf-16": "utf-16", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be",
    **{f"iso-8859-{n}": f"iso8859_{n}" for n in range(1, 17) if n != 12},
    **{f"windows-125{n}": f"cp125{n}" for n in range(9)},
}  # fmt: skip


def parse_xml(data: bytes, *, max_bytes: int = MAX_BYTES) -> etree._Element | Fault:
    """The root element, comments and processing instructions dropped, or what is wrong (rule CAP-001)."""
    if len(data) > max_bytes:
        return _refused(f"文件过大，上限 {max_bytes} 字节", f"too large: the limit is {max_bytes} bytes")
    if not data.strip(b" \t\r\n"):
        return _refused("文件为空", "empty file")
    text = _decoded(data)
    if isinstance(text, Fault):
        return text
    return _hostile(text) or _parsed(text)


def line_of(element: etree._Element) -> int:
    """The line an element stood on; 0 for one made here."""
    line: Any = element.sourceline
    return int(line or 0)


def secure_parser() -> etree.XMLParser:
    """A parser that resolves nothing and keeps libxml2's own limits (256 levels)."""
    return etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False,
        remove_comments=True, remove_pis=True, huge_tree=False, strip_cdata=True,
    )  # fmt: skip


def _decoded(data: bytes) -> str | Fault:
    encoding, start = next(((name, len(bom)) for bom, name in _BOMS if data.startswith(bom)), (None, 0))
    if encoding is None:
        encoding = next((name for shape, name in _SHAPES if data.startswith(shape)), None)
    head = data[start : start + 600].decode(encoding or "latin-1", "replace")
    declared = match.group(1).lower() if (match := _DECLARATION.match(head)) else None
    known = _ENCODINGS.get(declared) if declared else encoding or "utf-8"
    is_contradiction = encoding is not None and known is not None and known[:6] != encoding[:6]
    if known is None or encoding == "" or is_contradiction or (encoding is None and known.startswith("utf-16")):
        name = declared or encoding or "utf-32"
        return _refused(f"无法按声明的编码读取：{name}", f"cannot be read in its encoding: {name}")
    try:
        text = data[start:].decode(encoding or known)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return _refused(
            f"第 {error.start} 字节不是有效的 {known}", f"byte {error.start} is not valid {known}", line=line
        )
    return text


def _hostile(text: str) -> Fault | None:
    prolog = _PROLOG.match(text)
    end = prolog.end() if prolog else 0
    if text.startswith("<!", end):
        return _refused(
            "拒绝含 DOCTYPE 或实体的 XML", "XML refused: DOCTYPE or entity", line=text.count("\n", 0, end) + 1
        )
    if (at := text.find("\0")) >= 0:
        return _refused("含有 NUL 字符", "NUL character", line=text.count("\n", 0, at) + 1)
    if text.count("<") > 2 * MAX_ELEMENTS:
        return _refused(f"元素过多，上限 {MAX_ELEMENTS}", f"too many elements, limit {MAX_ELEMENTS}")
    if text.count('="') + text.count("='") > MAX_ATTRIBUTES:
        return _refused(f"属性过多，上限 {MAX_ATTRIBUTES}", f"too many attributes, limit {MAX_ATTRIBUTES}")
    return None


def _parsed(text: str) -> etree._Element | Fault:
    try:
        return etree.fromstring(text.encode(), secure_parser())
    except (etree.XMLSyntaxError, ValueError) as error:  # ValueError: surrogates cannot be encoded
        line = error.lineno if isinstance(error, etree.XMLSyntaxError) else None
        return _refused(f"不是合格的 XML：{error}", f"not well-formed XML: {error}", line=line)


def _refused(zh: str, en: str, *, line: int | None = None) -> Fault:
    return Fault("/", zh, en, line=line)
