"""Pictures are made anew before they are kept: what a camera wrote beside the picture (place, time, device) is gone.

The only home of Pillow. A picture turned by its EXIF orientation is turned for good; one that claims more pixels than
may be is refused before it is unpacked.
"""

from __future__ import annotations

import warnings
from io import BytesIO

from PIL import Image, ImageOps

from server.domain.attachments import MAX_PIXELS, FileKind
from server.domain.errors import InvalidInputError

QUALITY = 90
FORMATS = {FileKind.JPEG: "JPEG", FileKind.PNG: "PNG"}


def made_anew(data: bytes, kind: FileKind) -> bytes:
    """The picture alone, without anything else that was in the file. Takes up to a second: in a thread.

    InvalidInputError `picture_broken`, `picture_huge`.
    """
    try:
        with warnings.catch_warnings(), Image.open(BytesIO(data), formats=[FORMATS[kind]]) as opened:
            warnings.simplefilter("ignore")
            if opened.width * opened.height > MAX_PIXELS:
                raise InvalidInputError(
                    "picture_huge", zh="图片像素过多", en=f"more than {MAX_PIXELS} pixels", field="body"
                )
            turned = ImageOps.exif_transpose(opened)
            plain = turned.convert("RGB") if kind is FileKind.JPEG else turned
            bare = Image.new(plain.mode, plain.size)
            if palette := plain.getpalette():
                bare.putpalette(palette)
            bare.paste(plain)
            out = BytesIO()
            bare.save(out, FORMATS[kind], **({"quality": QUALITY} if kind is FileKind.JPEG else {}))
            return out.getvalue()
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InvalidInputError(
            "picture_broken", zh="图片无法打开", en="the picture cannot be opened", field="body"
        ) from error
