"""Reads the files of `data/` once at start and hands their contents to the pure registries of the domain.

The files are data of the city, not code: who changes them restarts the processes. A file that is wrong refuses to start
with a ConfigurationError that names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from server.domain import (
    booking_expansion,
    booking_seed,
    bulletins,
    consents,
    divisions,
    duty,
    facts,
    preferences,
    ratings,
    reasons,
    sources,
    texts,
    wording,
    workflow,
)
from server.domain.errors import ConfigurationError
from server.domain.resources import Resource
from server.domain.working_days import WorkingDays, by_year, read_year

DATA = Path(__file__).resolve().parents[2] / "data"  # beside the packages, in a checkout and in the image


def load_divisions(data: Path = DATA, city: str = "*") -> divisions.Divisions:
    """The divisions of one city (its 6-digit code), or of all cities in `data/divisions`.

    >>> load_divisions(city="440300").get("440305").name_en
    'Nanshan District'
    """
    folder = data / "divisions"
    tables = [_read(path) for path in sorted(folder.glob(f"{city}.csv"))]
    if not tables:
        raise _wrong(folder, f"no divisions of city {city}")
    return divisions.load(tables, [_read(path) for path in sorted(folder.glob(f"{city}.geojson"))])


def load_texts(data: Path = DATA) -> wording.Wording:
    """Event names, advice, frames and the provider templates: what `texts.render` needs."""
    return texts.load(read_sources(data))


def load_consents(data: Path = DATA) -> consents.Purposes:
    """What citizens may agree to, with all versions of the texts."""
    return consents.load(_yaml(data / "consents.yaml"))


def load_facts(data: Path = DATA) -> facts.Facts:
    """What may be known of citizens, and who may state it."""
    return facts.load_facts(_yaml(data / "facts.yaml"))


def read_rule_texts(folder: Path = DATA / "rules") -> Mapping[str, str]:
    """The files of rules by name, for `domain.rule_files.read_rules`, which also says what is no text."""
    try:
        return {path.name: path.read_text("utf-8", "surrogateescape") for path in sorted(folder.glob("*.yaml"))}
    except OSError as error:
        raise _wrong(folder, str(error)) from None


def load_working_days(data: Path = DATA) -> WorkingDays:
    """The calendar of working days, with the years that the city has written down itself (`working_days/2027.csv`)."""
    years = []
    for path in sorted((data / "working_days").glob("*.csv")):
        try:
            years.append(read_year(_read(path)))
        except ValueError as error:
            raise _wrong(path, str(error)) from None
    try:
        return WorkingDays(by_year(years))
    except ValueError as error:
        raise _wrong(data / "working_days", str(error)) from None


def load_resources(known: divisions.Divisions, data: Path = DATA) -> list[Resource]:
    """What can be booked in the cities, as `data/booking` has it; the error has a line for each defect."""
    resources, defects = check_resources(known, data)
    if defects:
        told = "\n".join(f"{each.file}: {each.path}: {each.text}" for each in defects)
        raise ConfigurationError("booking_data_invalid", zh=f"预约数据有误：\n{told}", en=f"booking data:\n{told}")
    return resources


def check_resources(known: divisions.Divisions, data: Path = DATA) -> tuple[list[Resource], list[booking_seed.Defect]]:
    """The same, with what is wrong as values; resources only if nothing is."""
    files = {path.name: _yaml(path) for path in sorted((data / "booking").glob("*.yaml"))}
    seed, defects = booking_seed.read(files, known)
    if defects:
        return [], defects
    resources, defects = booking_expansion.expand(seed, known)
    return ([], defects) if defects else (resources, [])


def load_topics(data: Path = DATA) -> preferences.Topics:
    """What citizens may switch off."""
    return preferences.load_topics(_yaml(data / "topics.yaml"))


def load_bulletin_topics(data: Path = DATA) -> bulletins.Topics:
    """What public notices are about."""
    return bulletins.load_bulletin_topics(_yaml(data / "bulletin_topics.yaml"))


def load_bulletin_seeds(data: Path = DATA) -> Sequence[Mapping[str, Any]]:
    """The public notices that a city to try things with begins with, and how many `days` each holds."""
    seeds: Sequence[Mapping[str, Any]] = _yaml(data / "bulletin_seeds.yaml")["bulletins"]
    return seeds


def load_workflows(data: Path = DATA) -> Mapping[str, workflow.Workflow]:
    """How applications move, by name: every file of `data/workflows`, checked."""
    paths = sorted((data / "workflows").glob("*.yaml"))
    return workflow.by_name(workflow.load_workflow(_yaml(path), path.name) for path in paths)


def load_reasons(data: Path = DATA) -> Mapping[str, reasons.Reason]:
    """What officers say again and again."""
    return reasons.load_reasons(_yaml(data / "reasons.yaml"))


def load_source_policy(data: Path = DATA) -> sources.Policy:
    """What department sources may be asked."""
    return sources.load_policy(_yaml(data / "sources.yaml"))


def load_questionnaire(data: Path = DATA) -> ratings.Questionnaire:
    """What ratings ask."""
    return ratings.load_questionnaire(_yaml(data / "ratings.yaml"))


def load_escalation(data: Path = DATA) -> duty.Escalation:
    """Who is told of cards."""
    return duty.load_escalation(_yaml(data / "escalation.yaml"))


def read_sources(data: Path) -> wording.Sources:
    """The files that texts are made of, parsed but not yet checked."""
    return wording.Sources(
        event_codes=_read(data / "event_codes.csv"),
        advice=[_yaml(path) for path in sorted((data / "events").glob("*.yaml"))],
        cities=_yaml(data / "cities.yaml"),
        frames=_yaml(data / "frames.yaml"),
        templates=_yaml(data / "templates.yaml"),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(path, str(error)) from None


def _yaml(path: Path) -> Any:
    try:
        return yaml.load(_read(path), Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise _wrong(path, str(error)) from None


def _wrong(path: Path, what: str) -> ConfigurationError:
    return ConfigurationError("data_unreadable", zh=f"{path.name}：{what}", en=f"{path.name}: {what}")
