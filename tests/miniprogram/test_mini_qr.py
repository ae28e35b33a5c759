"""The QR codes of the mini-program are those of ISO/IEC 18004, module by module, in every size that it draws."""

from __future__ import annotations

import json

import pytest
import segno

from tests.miniprogram.harness import node

CAPACITIES = (14, 26, 42, 62, 84, 106)  # characters of versions 1 to 6, byte mode, error correction M
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


def drawn(text: str) -> list[list[int]]:
    answer = node("-p", f"JSON.stringify(require('./miniprogram/core/qr.js').matrix({json.dumps(text)}))")
    found: list[list[int]] = json.loads(answer.stdout)
    return found


@pytest.mark.parametrize("length", CAPACITIES)
def test_each_module_is_as_another_encoder_has_it(length: int):
    # Full codes only: in others segno fills up with one byte more, which readers skip.
    text = (LETTERS * 2)[:length]
    other = segno.make(text, error="m", boost_error=False, mask=0, mode="byte", micro=False)
    assert drawn(text) == [list(row) for row in other.matrix]


def test_a_text_that_fits_no_size_is_refused():
    answer = node("-p", "require('./miniprogram/core/qr.js').matrix('x'.repeat(107))")
    assert "RangeError" in answer.stderr
