"""What may be attached to an application: pictures and PDFs, told by their content and never by their name. Pure.

A file that says it is one thing and is another is refused. A PDF may hold nothing that runs or opens by itself, no
other file inside, and no password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from server.domain.errors import InvalidInputError

MAX_BYTES = 10_485_760
MAX_PIXELS = 50_000_000  # of a picture: a phone's are twelve to fifty million
MAX_FILES = 30  # of one application
MAX_TOTAL_BYTES = 104_857_600  # of all files of one application
MAX_NAME = 100
_ACTIVE = re.compile(rb"/(?:JavaScript|JS|Launch|EmbeddedFile|OpenAction|AA|RichMedia|XFA|Encrypt)\b")


class FileKind(StrEnum):
    """What is taken, by its media type."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    PDF = "application/pdf"

    @property
    def is_picture(self) -> bool:
        """Whether it is made anew, so that nothing hidden stays in it."""
        return self is not FileKind.PDF


_BEGINS: Mapping[FileKind, bytes] = {
    FileKind.JPEG: b"\xff\xd8\xff",
    FileKind.PNG: b"\x89PNG\r\n\x1a\n",
    FileKind.PDF: b"%PDF-",
}


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file of an application. `sha256` is of what is kept, in hexadecimal; `keeper`'s key seals it."""

    id: str
    application: str
    citizen: int
    keeper: int
    material: str
    name: str
    kind: FileKind
    size_bytes: int
    sha256: str
    at: datetime


def kind_of(data: bytes, declared: str) -> FileKind:
    """What it really is. InvalidInputError `attachment_kind`, `attachment_disguised`, `attachment_active`."""
    found = next((kind for kind, begin in _BEGINS.items() if data.startswith(begin)), None)
    if found is None:
        raise InvalidInputError(
            "attachment_kind", zh="只接受JPEG、PNG图片和PDF", en="only JPEG, PNG and PDF are taken", field="body"
        )
    if declared != found.value:
        raise InvalidInputError(
            "attachment_disguised",
            zh=f"文件内容是{found.value}，与声明的类型不符",
            en=f"this is {found.value} and not what it says",
            field="Content-Type",
        )
    if found is FileKind.PDF:
        _refuse_active(data)
    return found


def refuse_size(size_bytes: int) -> None:
    """InvalidInputError `body_too_large` (413) or `attachment_empty`."""
    if size_bytes > MAX_BYTES:
        raise InvalidInputError(
            "body_too_large", zh=f"文件超过{MAX_BYTES}字节", en=f"the file is larger than {MAX_BYTES} bytes"
        )
    if not size_bytes:
        raise InvalidInputError("attachment_empty", zh="文件为空", en="the file is empty", field="body")


def plain_file_name(name: str, kind: FileKind) -> str:
    """A name that is only a name: no path, no controls; the ending says what it is.

    >>> plain_file_name("../../etc/身份证.php", FileKind.JPEG)
    '身份证.jpg'
    """
    ending = {FileKind.JPEG: ".jpg", FileKind.PNG: ".png", FileKind.PDF: ".pdf"}[kind]
    last = re.split(r"[/\\]", name)[-1]
    stem = re.sub(r"[^\w\- ]", "", last.rpartition(".")[0] or last).strip()[:MAX_NAME]
    return f"{stem or 'file'}{ending}"


def _refuse_active(data: bytes) -> None:
    """Names in a PDF may be written with #xx escapes (ISO 32000-1, 7.3.5): these are read before the search."""
    plain = re.sub(rb"#([0-9a-fA-F]{2})", lambda found: bytes([int(found[1], 16)]), data)
    if b"%%EOF" not in data[-2_048:] or _ACTIVE.search(plain):
        raise InvalidInputError(
            "attachment_active",
            zh="PDF已加密、不完整，或含有脚本、附件等内容，请另存后重传",
            en="this PDF is cut off, has a password, or holds scripts or other files: save it anew",
            field="body",
        )
