"""Items out of the short words of `data/catalogue`: shared fragments are named, so that nothing is typed twice.

An item names its unit, conditions, materials, fields and steps; the fragments stand in files of their own. The same
files serve every city: unit names and credit codes are by city, and an item may be for some cities only. Everything
that is wrong becomes a defect of one line: which file, which item, where in it, and what to do; good items are made all
the same. Pure: `storage/catalogue_files` reads the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from server.domain.catalogue import Item
from server.domain.catalogue_codes import CodeRule, plain_code
from server.domain.catalogue_targets import Plan
from server.domain.catalogue_windows import Ground

OWN_KEYS = frozenset(
    {"id", "number", "name", "about", "unit", "type", "who", "if", "need", "days", "fee", "form", "flow", "steps",
     "modes", "words", "at", "basis", "cities", "theme", "also"}
)  # fmt: skip
M = TypeVar("M", bound=BaseModel)
OF_ONE_ONLY = frozenset({"number", "words", "steps", "basis"})  # what an item that is also there does not take over
WORDED = frozenset({"label", "help", "options", "fields", "show_if"})  # of a field: what is written in short
MAX_DEFECTS = 10  # told of one item
Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong in a file. `item` and `path` may be ""; `what` says what to do."""

    file: str
    item: str
    path: str
    what: str

    def __str__(self) -> str:
        """One line."""
        return ": ".join(part for part in (self.file, self.item, self.path, self.what) if part)


class WrongError(Exception):
    """What stands at a place cannot be used."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(what)
        self.path, self.what = path, what


@dataclass(frozen=True, slots=True)
class Files:
    """The parsed files: shared ones by name (units, sources, materials, ...), and those with items by theme."""

    shared: Mapping[str, Any]
    items: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seed:
    """What the files hold for one city."""

    items: tuple[Item, ...]
    ground: Ground
    plan: Plan
    defects: tuple[Defect, ...]


@dataclass(slots=True)
class _Maker:
    """Makes the items of one city. `shared` are the fragments."""

    shared: Mapping[str, Any]
    city: str
    is_code: CodeRule
    moments: Mapping[str, tuple[str, ...]]
    defects: list[Defect] = field(default_factory=list)

    def fragment(self, kind: str, name: Any, path: str) -> Any:
        """A shared fragment; WrongError if there is none of that name."""
        found = self.shared.get(kind, {})
        if not isinstance(name, str) or not isinstance(found, Mapping) or name not in found:
            raise WrongError(path, f"{name!r} is not in {kind}.yaml: add it there or name another")
        return found[name]

    def item(self, data: Data, theme: str) -> Item:
        """One item; WrongError, ValidationError."""
        unknown = set(data) - OWN_KEYS
        if unknown:
            raise WrongError(min(unknown), f"unknown key; known are {', '.join(sorted(OWN_KEYS))}")
        unit = self.unit(data.get("unit"))
        flow = data.get("flow", "standard")
        steps = data.get("steps") or self.fragment("flows", flow, "flow")
        days = data.get("days", [0, 0])
        if not isinstance(days, list) or len(days) != 2:
            raise WrongError("days", "write [by law, promised] in working days")
        fee = data.get("fee", 0)
        made = {
            "id": data.get("id"),
            "code": f"{unit['division']}-{unit['uscc']}-{data.get('number')}",
            "category": data.get("type", "service"),
            "theme": data.get("theme", theme),
            "unit": unit,
            "name": self.pair(data.get("name"), "name"),
            "about": self.pair(data.get("about"), "about"),
            "applicants": data.get("who", ["person"]),
            "conditions": [self.condition(each, f"if[{n}]") for n, each in enumerate(data.get("if", []))],
            "materials": [self.material(each, f"need[{n}]") for n, each in enumerate(data.get("need", []))],
            "fee_fen": fee[0] if isinstance(fee, list) else fee,
            "fee_note": self.pair(fee[1:], "fee") if isinstance(fee, list) else None,
            "statutory_days": days[0],
            "promised_days": days[1],
            "form": {"fields": [each for n, part in enumerate(data.get("form", [])) for each in self.form(part, n)]},
            "workflow": flow,
            "steps": [self.pair(each, f"steps[{n}]") for n, each in enumerate(steps)],
            "modes": data.get("modes", []),
            "moments": self.moments.get(str(data.get("id")), ()),
            "words": [str(each) for each in data.get("words", [])],
            "networks": data.get("at", []),
            "basis": data.get("basis", []),
        }
        made["form"]["fields"] = _filled(made["form"]["fields"], made["materials"])
        item = Item.model_validate(made)
        if fault := self.is_code(item.code, item.unit.division, item.unit.uscc):
            raise WrongError("number", f"the code {item.code}: {fault}")
        self.check_links(item)
        return item

    def check_links(self, item: Item) -> None:
        """WrongError for a network without windows, or a field filled from a source that has no such field."""
        known = {network for window in self.shared.get("windows", ()) for network in window.get("networks", ())}
        known |= set(self.shared.get("networks", {}))
        for network in item.networks:
            if network not in known:
                raise WrongError("at", f"no window has the network {network!r}: add one to windows.yaml")
        for each in item.form.fields:
            if each.fill:
                name, _, wanted = each.fill.partition(".")
                source = self.fragment("sources", name, f"form.{each.id}.fill")
                if wanted not in source.get("fields", ()):
                    raise WrongError(f"form.{each.id}.fill", f"source {name} has no field {wanted}: see sources.yaml")

    def unit(self, name: Any) -> dict[str, Any]:
        """A unit of this city."""
        data = self.fragment("units", name, "unit")
        city = self.fragment("cities", self.city, "unit")
        if self.city not in data.get("uscc", {}):
            raise WrongError("unit", f"units.yaml has no credit code of {name} in {self.city}")
        own = data.get("names", {}).get(self.city)
        zh, en = own or (data["name"][0].format(city=city[0]), data["name"][1].format(city=city[1]))
        return {"id": name, "name": {"zh": zh, "en": en}, "uscc": data["uscc"][self.city], "division": self.city}

    def condition(self, data: Any, path: str) -> dict[str, Any]:
        """`name`, `{name: value}` or a pair of sentences."""
        if isinstance(data, list):
            return {"text": self.pair(data, path)}
        name, value = next(iter(data.items())) if isinstance(data, Mapping) and len(data) == 1 else (data, None)
        found = self.fragment("conditions", name, path)
        zh, en = (each.format(value=value) for each in found["text"])
        made: dict[str, Any] = {"text": {"zh": zh, "en": en}}
        if "fact" in found:
            made["check"] = {
                "fact": found["fact"], "op": found.get("op", "eq"), "value": found.get("value", value)
            }  # fmt: skip
        return made

    def material(self, data: Any, path: str) -> dict[str, Any]:
        """`name`, `name?` for one that may be missing, or `{use: name, ...}` with what is different here."""
        own: Data = data if isinstance(data, Mapping) else {"use": data}
        name = str(own.get("use", "")).removesuffix("?")
        found = self.fragment("materials", name, path)
        made: dict[str, Any] = {
            "id": name,
            "name": self.pair(found.get("name"), path),
            "kind": found.get("kind", "document"),
            "is_required": not str(own.get("use", "")).endswith("?"),
        }
        if note := own.get("note", found.get("note")):
            made["note"] = self.pair(note, f"{path}.note")
        if source := own.get("source", found.get("source")):
            made["source"] = self.source(source, f"{path}.source")
        if show_if := own.get("show_if"):
            made["show_if"] = _show_if(show_if, path)
        return made

    def source(self, data: Any, path: str) -> dict[str, Any]:
        """`name: [fields]`, and what for."""
        if not isinstance(data, list) or len(data) != 3:
            raise WrongError(path, "write [source, [fields], purpose]")
        name, fields, purpose = data
        found = self.fragment("sources", name, path)
        strays = [each for each in fields if each not in found["fields"]]
        if strays:
            raise WrongError(path, f"source {name} has no field {strays[0]}: see sources.yaml")
        return {"name": name, "title": self.pair(found["name"], path), "fields": fields, "purpose": purpose}

    def form(self, data: Any, number: int) -> Iterator[dict[str, Any]]:
        """The fields of one part: a named group, a named field, or a field with what is different here."""
        path = f"form[{number}]"
        groups = self.shared.get("forms", {})
        if isinstance(data, str) and data in groups:
            for each in groups[data]:
                yield self.field(each, path)
        else:
            yield self.field(data, path)

    def field(self, data: Any, path: str) -> dict[str, Any]:
        """`name`, `name?`, `{use: name, ...}` or a whole field with an `id`."""
        own: dict[str, Any] = dict(data) if isinstance(data, Mapping) else {"use": data}
        if "use" in own:
            named = str(own.pop("use"))
            name = named.removesuffix("?")
            own = {"id": name, **self.fragment("fields", name, path), **own}
            if named.endswith("?"):
                own["is_required"] = False
        made = {
            key: value for key, value in own.items() if key not in ("label", "help", "options", "fields", "show_if")
        }
        made["label"] = self.pair(own.get("label"), f"{path}.{own.get('id')}.label")
        if "help" in own:
            made["help"] = self.pair(own["help"], f"{path}.help")
        if "options" in own:
            options = own["options"]
            options = self.fragment("options", options, path) if isinstance(options, str) else options
            made["options"] = [{"value": key, "label": self.pair(each, path)} for key, each in options.items()]
        if "fields" in own:
            made["fields"] = [self.field(each, f"{path}.{own.get('id')}") for each in own["fields"]]
        if "show_if" in own:
            made["show_if"] = _show_if(own["show_if"], path)
        return made

    def pair(self, data: Any, path: str) -> dict[str, str]:
        """[Chinese, English]; the city's name may stand in it as {city}."""
        if not isinstance(data, list) or not data or not all(isinstance(each, str) for each in data) or len(data) > 2:
            raise WrongError(path, "write [Chinese, English]")
        city = self.shared.get("cities", {}).get(self.city, ["", ""])
        zh, en = (data[0], data[1] if len(data) > 1 else "")
        return {"zh": zh.replace("{city}", city[0]), "en": en.replace("{city}", city[1])}


def compose(files: Files, city: str, is_code: CodeRule = plain_code) -> Seed:
    """All items of a city (its 6-digit code), with the windows, moments and themes beside them."""
    defects: list[Defect] = []
    ground = ground_of(files.shared, city, defects)
    maker = _Maker(files.shared, city, is_code, ground.moments_of, defects)
    items: dict[str, Item] = {}
    codes: dict[str, str] = {}
    for theme, listed in files.items.items():
        file = f"items/{theme}.yaml"
        for data in _listed(listed, file, defects):
            if "cities" in data and city not in map(str, data["cities"]):
                continue
            item = _made(partial(maker.item, data, theme), file, str(data.get("id")), defects)
            if item is None:
                continue
            if item.id in items or item.code in codes:
                twin = item.id if item.id in items else codes[item.code]
                defects.append(Defect(file, item.id, "id", f"the same id or code as {twin}: give it its own"))
                continue
            items[item.id] = item
            codes[item.code] = item.id
    plan = plan_of(files.shared, defects)
    everywhere = {str(each.get("id")) for listed in files.items.values() for each in _listed(listed, "", [])}
    defects += _lost("moments.yaml", ((m.id, m.items) for m in ground.moments), everywhere)
    defects += _lost("desks.yaml", ((d.id, tuple(d.services)) for d in ground.desks), everywhere)
    defects += _lost("plan.yaml", ((n.id, n.items) for n in plan.named), everywhere)
    here = [moment.model_copy(update={"items": known}) for moment in ground.moments
            if (known := tuple(each for each in moment.items if each in items))]  # fmt: skip
    return Seed(tuple(items.values()), ground.model_copy(update={"moments": tuple(here)}), plan, tuple(defects))


def plan_of(shared: Mapping[str, Any], defects: list[Defect]) -> Plan:
    """What the city has promised."""
    return _made(lambda: Plan.model_validate(shared.get("plan", {})), "plan.yaml", "", defects) or Plan()


def _listed(listed: Any, file: str, defects: list[Defect]) -> Iterator[dict[str, Any]]:
    """The items of a file with its defaults; after each what it is also: an item of its own that says other things."""
    defaults, items = (
        ({}, listed) if isinstance(listed, list) else (listed.get("defaults", {}), listed.get("items", ()))
    )
    for data in items:
        if not isinstance(data, Mapping):
            defects.append(Defect(file, "", "", f"{str(data)[:40]!r} is no item: begin it with `- id:`"))
            continue
        base = {**defaults, **{key: value for key, value in data.items() if key != "also"}}
        yield base
        for other in data.get("also", ()):
            own = {key: value for key, value in base.items() if key not in OF_ONE_ONLY}
            yield {**own, **other, "id": f"{base.get('id')}-{other.get('id')}"}


def ground_of(shared: Mapping[str, Any], city: str, defects: list[Defect]) -> Ground:
    """Windows, moments, themes and synonyms of a city out of the shared files; what is wrong is added to `defects`."""
    made: dict[str, Any] = {"synonyms": shared.get("synonyms", [])}
    for key in ("windows", "moments", "themes"):
        entries = shared.get(key, ())
        if key == "windows":
            entries = [each for each in entries if str(each.get("division", "")).startswith(city[:4])]
        made[key] = [_paired(each) for each in entries]
    made["desks"] = [_desk(each, city, defects) for each in shared.get("desks", ())]
    return (
        _made(lambda: Ground.model_validate(made), "windows, desks, moments, themes, synonyms", "", defects) or Ground()
    )


def _desk(data: Any, city: str, defects: list[Defect]) -> Any:
    """A desk as this city has it: the group may be written by city."""
    group = data.get("group") if isinstance(data, Mapping) else None
    if not isinstance(group, Mapping):
        return data
    if city not in group:
        defects.append(Defect("desks.yaml", str(data.get("id")), "group", f"no group for {city}: add it"))
    return {**data, "group": group.get(city, "none")}


def _paired(data: Any) -> Any:
    """[Chinese, English] as the models have it; a spot is [latitude, longitude]."""
    if not isinstance(data, Mapping):
        return data
    made = dict(data)
    for key in ("name", "about", "address", "hours"):
        if isinstance(made.get(key), list):
            made[key] = dict(zip(("zh", "en"), made[key], strict=False))
    if isinstance(made.get("spot"), list):
        made["spot"] = dict(zip(("latitude", "longitude"), made["spot"], strict=False))
    return made


def _lost(file: str, named: Any, known: set[str]) -> list[Defect]:
    return [
        Defect(file, name, "items", f"there is no item {each!r}: add it or take it off the list")
        for name, items in named
        for each in items
        if each not in known
    ]


def _filled(fields: list[dict[str, Any]], materials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fields without the filling that this item cannot have: a source is asked only for what replaces a material."""
    asked = {each["source"]["name"] for each in materials if "source" in each}
    return [
        {key: value for key, value in each.items() if key != "fill" or str(value).partition(".")[0] in asked}
        for each in fields
    ]


def _show_if(data: Any, path: str) -> dict[str, Any]:
    """`{field: answer}` or `{field: [answers]}`."""
    if not isinstance(data, Mapping) or len(data) != 1:
        raise WrongError(f"{path}.show_if", "write {field: answer}")
    name, among = next(iter(data.items()))
    return {"field": name, "among": among if isinstance(among, list) else [among]}


def _made(make: Callable[[], M], file: str, item: str, defects: list[Defect]) -> M | None:
    try:
        return make()
    except WrongError as error:
        defects.append(Defect(file, item, error.path, error.what))
    except ValidationError as error:
        defects += [
            Defect(file, item, ".".join(map(str, each["loc"])), each["msg"]) for each in error.errors()[:MAX_DEFECTS]
        ]
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        defects.append(Defect(file, item, "", f"not readable ({type(error).__name__}: {error}): compare with another"))
    return None
