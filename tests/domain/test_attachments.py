"""Files are told by their content: what is disguised, cut off, or runs by itself is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.attachments import FileKind, kind_of, plain_file_name
from server.domain.errors import InvalidInputError

PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def test_a_plain_pdf_is_taken():
    assert kind_of(PDF, "application/pdf") is FileKind.PDF


@pytest.mark.parametrize(
    ("data", "declared", "code"),
    [
        (b"MZ\x90\x00", "image/jpeg", "attachment_kind"),
        (b"<html><script>", "application/pdf", "attachment_kind"),
        (b"\x00\x00\x00 ftypheic", "image/jpeg", "attachment_kind"),
        (PDF, "image/png", "attachment_disguised"),
        (b"\xff\xd8\xff\xe0", "image/png", "attachment_disguised"),
        (PDF.replace(b"/Catalog", b"/Catalog/OpenAction 2 0 R"), "application/pdf", "attachment_active"),
        (PDF.replace(b"/Catalog", b"/Catalog/J#61vaScript 2 0 R"), "application/pdf", "attachment_active"),
        (PDF.replace(b"/Catalog", b"/Catalog/Encrypt 2 0 R"), "application/pdf", "attachment_active"),
        (PDF[:30], "application/pdf", "attachment_active"),
    ],
)
def test_what_is_not_what_it_says_is_refused(data: bytes, declared: str, code: str):
    with pytest.raises(InvalidInputError) as caught:
        kind_of(data, declared)
    assert caught.value.code == code


@given(st.text(max_size=300), st.sampled_from(FileKind))
def test_a_name_is_only_a_name(name: str, kind: FileKind):
    plain = plain_file_name(name, kind)
    assert 4 < len(plain) <= 110
    assert not set('/\\\x00\r\n"<>:') & set(plain)
    assert plain.rpartition(".")[2] in ("jpg", "png", "pdf")
    assert not plain.startswith(".")
