"""The files of an export: what is in the archive and how a row looks in a spreadsheet. Pure.

Promise: no cell of a CSV is run as a formula, whatever a person typed into a field, and Chinese is Chinese in every
spreadsheet (UTF-8 with a byte order mark, RFC 4180). The JSON file has the values as they are.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from io import StringIO
from typing import Any

BYTE_ORDER_MARK = "\ufeff"
# What makes a spreadsheet run a cell: OWASP's list, also behind blanks that it would trim, and in full width.
_FORMULA = re.compile(r"[\s\u200b\ufeff]*[=+\-@\t\r\n|%＝＋－＠]")
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?")

README = """\
惠民：您的个人资料 · Huimin: your personal data
生成时间 made at: {at}

data.json   全部资料（供程序读取） everything, for programs
{files}
CSV 文件为 UTF-8，可用任意电子表格打开；以等号等符号开头的内容前加了一个单引号，以免被当作公式执行。
The CSV files are UTF-8 for any spreadsheet. A value that a spreadsheet could run as a formula has a ' in front of it.

没有任何资料的部分为空文件。本文件含有您的个人信息，请妥善保管，用后删除。
A part without any data is an empty file. This archive is about you: keep it safe, and delete it when you are done.
"""


def readme(names: Iterable[str], at: datetime) -> str:
    """What each file of the archive is, in both languages."""
    lines = [f"{name}.csv".ljust(28) + _MEANING.get(name, f"{name} 部分，同 data.json") for name in names]
    return README.format(at=at.isoformat(timespec="seconds"), files="\n".join(lines))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV with a byte order mark: a column per name that occurs, lists and objects as JSON. "" = no rows."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        return ""
    text = StringIO()
    text.write(BYTE_ORDER_MARK)
    writer = csv.writer(text)
    writer.writerow([cell(name) for name in names])
    writer.writerows([cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue()


def cell(value: Any) -> str:
    """A value as a cell that no spreadsheet runs.

    >>> cell("=HYPERLINK(1)"), cell("-5"), cell("-5+cmd"), cell(None), cell(["phone"])
    ("'=HYPERLINK(1)", '-5', "'-5+cmd", '', '["phone"]')
    """
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            text = value.replace("\x00", "")
        case _:
            text = json.dumps(value, ensure_ascii=False)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


_MEANING = {
    "account": "账户 the account",
    "places": "关心的地点 places you care about",
    "addresses": "联系方式（微信、推送、手机） how you are reached",
    "consents": "同意与撤回记录 what you agreed to and took back",
    "uses": "谁用了我的数据 who used your data",
    "notices": "发给您的通知 notices to you",
    "bookings": "预约 bookings",
    "devices": "设备 devices",
    "sessions": "登录记录 log-ins",
}
