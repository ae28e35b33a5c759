"""The templates that the sandbox's providers have approved.

They are read from the same file that the product picks templates from, but by code of its own: the providers would not
take the product's word either.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field


class WeChatTemplate(BaseModel):
    """A subscribe message template: `fields` are its typed keys (thing1, time2)."""

    id: str
    kind: Literal["long_term", "one_time"]
    fields: dict[str, str]


class AliyunTemplate(BaseModel):
    """An SMS template with ${name} variables."""

    id: str
    text: str

    @property
    def names(self) -> frozenset[str]:
        """The variables that a request must fill."""
        return frozenset(re.findall(r"\$\{(\w+)\}", self.text))


class TencentTemplate(BaseModel):
    """An SMS template with {1} {2} variables."""

    id: str
    text: str

    @property
    def count(self) -> int:
        """How many parameters a request must bring."""
        return len(set(re.findall(r"\{(\d+)\}", self.text)))


class Templates(BaseModel):
    """All approved templates and the SMS signature; other keys of the file are the product's business."""

    model_config = ConfigDict(extra="ignore")

    sign: str
    wechat: tuple[WeChatTemplate, ...] = Field(default=())
    sms_aliyun: tuple[AliyunTemplate, ...] = Field(default=())
    sms_tencent: tuple[TencentTemplate, ...] = Field(default=())


def load(path: Path) -> Templates:
    """Read the file; raises OSError, yaml.YAMLError or pydantic.ValidationError."""
    return Templates.model_validate(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))
