"""Files of rules (`data/rules/*.yaml`) into rules, and what is wrong with them, line by line. Pure.

A file is written by a person who is not a programmer, or by somebody who means harm. So YAML is read narrowly: no
anchors, aliases, tags, merges, doubled keys, dates or fractions, bounded in size, depth and nodes before anything is
built. A bad rule does not keep the others of its file back. `rule_schema` is what an editor completes by while typing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.domain.faults import Fault
from server.domain.rules import Rule

MAX_BYTES, MAX_DEPTH, MAX_NODES = 262_144, 10, 20_000
MAX_RULES = 500  # of one file
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})", re.ASCII)
_TAG = "tag:yaml.org,2002:"
_STEP = re.compile(r"\.?[^.\[]+$|\[\d+\]$")


class RuleFile(BaseModel):
    """One file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[Rule, ...] = Field(min_length=1, max_length=MAX_RULES)


@dataclass(frozen=True, slots=True)
class RuleDefect:
    """One thing that is wrong in a file. `field` "": with the rule as a whole; `line` counts from 1."""

    file: str
    line: int
    rule: str
    field: str
    zh: str
    en: str

    def __str__(self) -> str:
        where = " ".join(part for part in (self.rule, self.field) if part)
        return f"{self.file}:{self.line}: {where + ': ' if where else ''}{self.en} {self.zh}"


@dataclass(frozen=True, slots=True)
class FiledRule:
    """A rule and where it stands; `lines` has the line of each of its parts, "" its own."""

    rule: Rule
    file: str
    lines: Mapping[str, int]

    def defects(self, faults: Iterable[Fault]) -> list[RuleDefect]:
        """These faults, each with its line."""
        return [_defect(self.file, self.lines, self.rule.id, each) for each in faults]


def rule_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a file; `$defs/Rule` is that of a rule."""
    schema = RuleFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Rules of proactive service"}


def document_of(rule: Rule) -> dict[str, Any]:
    """The rule as files, the database and the wire have it."""
    return rule.model_dump(mode="json", by_alias=True)


def digest_of(rule: Rule) -> str:
    """What a second person confirms: SHA-256 over everything that the rule says, 64 hexadecimal digits."""
    return hashlib.sha256(orjson.dumps(document_of(rule), option=orjson.OPT_SORT_KEYS)).hexdigest()


def read_rules(files: Mapping[str, str]) -> tuple[list[FiledRule], list[RuleDefect]]:
    """The good rules of these files (name -> text), and every defect. Of two with one id the second is a defect."""
    rules: list[FiledRule] = []
    defects: list[RuleDefect] = []
    first: dict[str, FiledRule] = {}
    for name, text in files.items():
        found, wrong = _read_file(name, text)
        defects += wrong
        for each in found:
            other = first.setdefault(each.rule.id, each)
            if other is each:
                rules.append(each)
            else:
                where = f"{other.file}:{other.lines['']}"
                twice = Fault("id", f"编号与 {where} 重复，请改名", f"the id of {where} again: give it another")
                defects += each.defects([twice])
    return rules, defects


@dataclass(slots=True)
class _Tree:
    """Plain data made of nodes, with the line of each path; what cannot be is in `faults`."""

    lines: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def plain(self, node: yaml.Node, path: str) -> Any:
        self.lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(each, f"{path}[{number}]") for number, each in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) and key.tag == f"{_TAG}str" else None
            inner = f"{path}.{name or '?'}".lstrip(".")
            if name is None or name in found:
                self.lines[inner] = key.start_mark.line + 1
                zh, en = (
                    ("键须为文字", "a key is a word") if name is None else ("键重复，请删去其一", "twice: drop one")
                )
                self.faults.append(Fault(inner, zh, en))
                continue
            found[name] = self.plain(value, inner)
        return found

    def _scalar(self, node: yaml.ScalarNode, path: str) -> Any:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "str":
                return text
            case "null":
                return None
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "int" if _INTEGER.fullmatch(text):
                return int(text)
        self.faults.append(
            Fault(path, f"“{text[:20]}”请加引号或写整数", f"{text[:20]}: quote it, or write a whole number")
        )
        return None


def _read_file(name: str, text: str) -> tuple[list[FiledRule], list[RuleDefect]]:
    if refused := _refused(text):
        line, zh, en = refused
        return [], [RuleDefect(name, line, "", "", zh, en)]
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    entries = _entries(root)
    if entries is None:
        zh, en = (
            f"文件须为 rules: 加规则列表（至多{MAX_RULES}条）",
            f"a file is `rules:` and a list of at most {MAX_RULES}",
        )
        return [], [RuleDefect(name, 1, "", "", zh, en)]
    rules: list[FiledRule] = []
    defects: list[RuleDefect] = []
    for node in entries:
        tree = _Tree()
        data = tree.plain(node, "")
        known_as = str(data.get("id") or "") if isinstance(data, dict) else ""
        if tree.faults:
            defects += [_defect(name, tree.lines, known_as, each) for each in tree.faults]
            continue
        try:
            rules.append(FiledRule(Rule.model_validate(data), name, tree.lines))
        except ValidationError as error:
            defects += [_defect(name, tree.lines, known_as, each) for each in faults_in(error)]
    return rules, defects


def _refused(text: str) -> tuple[int, str, str] | None:
    """Line and reason if the file may not even be composed; the parser makes events one by one, so nothing explodes."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        return 1, f"文件超过{MAX_BYTES // 1024} KiB，请拆分", f"more than {MAX_BYTES // 1024} KiB: split the file"
    depth = nodes = documents = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            nodes += isinstance(event, yaml.NodeEvent)
            documents += isinstance(event, yaml.DocumentStartEvent)
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                return line, "不可用锚点和别名（& *），请写全", "no anchors or aliases (& *): write it out"
            if getattr(event, "tag", None):
                return line, "不可用类型标记（!），请删去", "no tags (!): leave it out"
            if depth > MAX_DEPTH or nodes > MAX_NODES or documents > 1:
                return (
                    line,
                    "嵌套过深、内容过多或有多个文档",
                    "too deep, too much, or a second document: split the file",
                )
    except (yaml.YAMLError, UnicodeError) as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "not UTF-8 text"
        return (mark.line + 1 if mark else 1), f"YAML 语法有误：{what}", f"not YAML: {what}"
    return None


def _entries(root: yaml.Node | None) -> Sequence[yaml.Node] | None:
    if not isinstance(root, yaml.MappingNode) or len(root.value) != 1:
        return None
    key, value = root.value[0]
    if key.value != "rules" or not isinstance(value, yaml.SequenceNode) or not 0 < len(value.value) <= MAX_RULES:
        return None
    return list(value.value)


def faults_in(error: ValidationError) -> Iterator[Fault]:
    """What pydantic found, each with its place in the way of `rule_faults`: `when[0].days`."""
    for each in error.errors(include_url=False, include_input=False):
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in each["loc"]).lstrip(".")
        yield Fault(path, f"不符合格式：{each['msg']}", each["msg"])


def _defect(file: str, lines: Mapping[str, int], rule: str, fault: Fault) -> RuleDefect:
    """The fault at the line of its field, or of what holds it."""
    path = fault.field
    while path and path not in lines:
        path = _STEP.sub("", path)
    return RuleDefect(file, lines.get(path, 1), rule[:60], fault.field, fault.zh, fault.en)
