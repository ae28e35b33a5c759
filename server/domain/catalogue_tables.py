"""Items as JSON and as CSV: both hold the whole item, so what is exported can be imported again unchanged.

JSON is a list of items as the API writes them, or an object with such a list under `items`. A line of CSV is an item:
what people edit in a spreadsheet has a column of its own, what has parts (conditions, materials, the form, steps) is
JSON in its cell. A cell that a spreadsheet could take for a formula is written with an apostrophe before it. Every
entry that cannot be read is a defect of one line and does not keep the others.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from typing import Any

from pydantic import ValidationError

from server.domain.catalogue import Item
from server.domain.catalogue_seed import MAX_DEFECTS, Defect

PLAIN = ("id", "code", "basic_code", "category", "theme", "workflow")
NUMBERS = ("fee_fen", "statutory_days", "promised_days")
LISTS = ("applicants", "modes", "moments", "words", "networks")  # written with spaces between
PARTS = ("conditions", "materials", "form", "steps", "basis", "fee_note")
UNIT = ("unit_id", "unit_zh", "unit_en", "unit_uscc", "unit_division")
COLUMNS = (
    *PLAIN, "name_zh", "name_en", "about_zh", "about_en", *UNIT, *NUMBERS, *LISTS, "is_offered", *PARTS,
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def to_json(items: Iterable[Item]) -> str:
    """All of them, defaults left out."""
    written = [item.model_dump(mode="json", exclude_defaults=True) for item in items]
    return json.dumps({"items": written}, ensure_ascii=False, indent=1) + "\n"


def to_csv(items: Iterable[Item]) -> str:
    """A line each, with a byte order mark so that spreadsheets see UTF-8."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for item in items:
        writer.writerow([_safe(cell) for cell in _cells(item)])
    return "\ufeff" + text.getvalue()


def from_json(text: str, file: str) -> tuple[list[Item], list[Defect]]:
    """The items that can be read, and what is wrong with the others."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        return [], [Defect(file, "", "", f"not JSON: {error}")]
    entries = data.get("items") if isinstance(data, Mapping) else data
    if not isinstance(entries, list):
        return [], [Defect(file, "", "", 'not a list of items: write [...] or {"items": [...]}')]
    return _read(((f"items[{number}]", entry) for number, entry in enumerate(entries)), file)


def from_csv(text: str, file: str) -> tuple[list[Item], list[Defect]]:
    """The same for CSV; columns may be missing where an item has a default, unknown ones are a defect."""
    rows = csv.reader(StringIO(text.removeprefix("\ufeff")))
    defects: list[Defect] = []
    entries: list[tuple[str, Any]] = []
    try:
        head = next(rows, [])
        if unknown := [name for name in head if name not in COLUMNS]:
            return [], [Defect(file, "line 1", unknown[0], f"unknown column; known are {', '.join(COLUMNS)}")]
        for row in rows:
            where = f"line {rows.line_num}"
            if len(row) != len(head):
                defects.append(Defect(file, where, "", f"{len(row)} cells where the first line has {len(head)}"))
                continue
            try:
                entries.append((where, _entry(dict(zip(head, map(_bare, row), strict=True)))))
            except ValueError as error:
                defects.append(Defect(file, where, "", str(error)))
    except csv.Error as error:
        defects.append(Defect(file, f"line {rows.line_num}", "", f"not CSV: {error}"))
    items, more = _read(entries, file)
    return items, [*defects, *more]


def _read(entries: Iterable[tuple[str, Any]], file: str) -> tuple[list[Item], list[Defect]]:
    items: list[Item] = []
    defects: list[Defect] = []
    for where, entry in entries:
        try:
            items.append(Item.model_validate(entry))
        except ValidationError as error:
            name = entry.get("id") if isinstance(entry, Mapping) else None
            item = f"{where} ({name})" if isinstance(name, str) else where
            defects += [
                Defect(file, item, ".".join(map(str, each["loc"])), each["msg"])
                for each in error.errors()[:MAX_DEFECTS]
            ]
    return items, defects


def _cells(item: Item) -> Iterator[str]:
    data = item.model_dump(mode="json")
    flat = {f"{part}_{language}": data[part][language] for part in ("name", "about") for language in ("zh", "en")}
    unit = data["unit"]
    flat |= {
        "unit_id": unit["id"], "unit_zh": unit["name"]["zh"], "unit_en": unit["name"]["en"],
        "unit_uscc": unit["uscc"], "unit_division": unit["division"],
    }  # fmt: skip
    short = item.model_dump(mode="json", exclude_defaults=True)
    for column in COLUMNS:
        if column in flat:
            yield flat[column]
        elif column in PARTS:
            yield json.dumps(short[column], ensure_ascii=False) if column in short else ""
        elif column in LISTS:
            yield " ".join(word.replace(" ", "_") for word in data[column])
        else:
            yield {True: "yes", False: "no"}.get(data[column], "") if column == "is_offered" else str(data[column])


def _entry(cells: Mapping[str, str]) -> dict[str, Any]:
    """One line as the model has it; ValueError for a cell that is no number, no yes or no, or no JSON."""
    made: dict[str, Any] = {name: cells[name] for name in PLAIN if cells.get(name)}
    for name in NUMBERS:
        if cells.get(name):
            if not (cells[name].isascii() and cells[name].isdigit()):
                raise ValueError(f"{name}: {cells[name][:20]!r} is no whole number")
            made[name] = int(cells[name])
    made |= {name: [w.replace("_", " ") if name == "words" else w for w in cells[name].split()] for name in LISTS
             if cells.get(name)}  # fmt: skip
    for part in ("name", "about"):
        made[part] = {language: cells.get(f"{part}_{language}", "") for language in ("zh", "en")}
    made["unit"] = {
        "id": cells.get("unit_id"), "uscc": cells.get("unit_uscc"), "division": cells.get("unit_division"),
        "name": {"zh": cells.get("unit_zh", ""), "en": cells.get("unit_en", "")},
    }  # fmt: skip
    if cells.get("is_offered"):
        if cells["is_offered"] not in ("yes", "no"):
            raise ValueError(f"is_offered: {cells['is_offered'][:20]!r} is not yes or no")
        made["is_offered"] = cells["is_offered"] == "yes"
    for name in PARTS:
        if cells.get(name):
            try:
                made[name] = json.loads(cells[name])
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{name}: not JSON: {error}") from None
    return made


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _bare(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell
