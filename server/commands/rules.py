"""`rules`: look through files of rules, hand them in, see what would change, print their schema, rehearse one.

Each defect is one line on standard error: file, line, rule, where, what to do; the exit code is then 1. Loading hands
rules in as the operator: they are in force when an officer has released them. `--json` prints one object.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from server.assemble import Assembly
from server.assemble_proactive import proactive
from server.commands import rule_figures
from server.commands.serve import assembled
from server.domain.catalogue_versions import changes
from server.domain.notices import frames_of
from server.domain.officers import Officer, Role
from server.domain.rule_faults import Known, faults_of, item_faults
from server.domain.rule_files import FiledRule, RuleDefect, digest_of, read_rules, rule_schema
from server.settings import load
from server.storage.catalogue_files import load_units, read_seed
from server.storage.catalogues import DATA, load_consents, load_facts, load_texts, read_rule_texts
from server.storage.rules import RuleStore

FOLDER = DATA / "rules"
PAGE = 100

app = typer.Typer(no_args_is_help=True, help="Rules of proactive service 主动服务规则: check, load, list, compare.")

app.command("rehearse")(rule_figures.rehearse)
app.command("outcomes")(rule_figures.outcomes)

Json = Annotated[bool, typer.Option("--json", help="print JSON and nothing else")]
Folder = Annotated[Path, typer.Option(help="a folder like data/rules")]
Does = Callable[[Assembly], Awaitable[Any]]


@app.command("check")
def check(*, folder: Folder = FOLDER, as_json: Json = False) -> None:
    """Look through a folder of rules against the catalogue's files; needs no database."""
    rules, defects = _checked(folder)
    _report({"rules": len(rules)}, defects, as_json=as_json)


@app.command("load")
def load_(*, folder: Folder = FOLDER, as_json: Json = False) -> None:
    """Hand in every rule that says something new; a second person releases it. Again changes nothing."""
    rules, defects = read_rules(read_rule_texts(folder))

    async def does(assembly: Assembly) -> Any:
        return await proactive(assembly).office.load([each.rule for each in rules])

    done, refused = _run(does)
    by_id = {each.rule.id: each for each in rules}
    defects += [defect for rule, faults in refused for defect in by_id[rule.id].defects(faults)]
    _report({"rules": len(rules), "handed_in": [kept.name for kept in done]}, defects, as_json=as_json)


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """All rules: what is in force, what waits."""

    async def does(assembly: Assembly) -> Any:
        store = RuleStore(assembly.db, time.monotonic)
        told: list[Any] = []
        while page := await store.page(told[-1][0] if told else "", PAGE):
            told += page
        return told

    found = _run(does)
    lines = [
        {
            "id": name,
            "title": (desk or force).rule.title.zh,
            "force": f"{force.state} {force.version}" if force else "",
            "desk": f"{desk.state} {desk.version}" if desk else "",
            "digest": desk.digest if desk else "",
        }
        for name, desk, force in found
    ]
    if as_json:
        typer.echo(orjson.dumps({"rules": lines}))
        return
    table = Table("rule 规则", "title 标题", "in force 现行", "on the desk 待办", title=f"{len(lines)} rules")
    for line in lines:
        table.add_row(line["id"], line["title"], line["force"], line["desk"])
    Console().print(table)


@app.command("diff")
def diff(*, folder: Folder = FOLDER, as_json: Json = False) -> None:
    """What the folder says otherwise than what is in force: what `load` would hand in."""
    rules, defects = read_rules(read_rule_texts(folder))

    async def does(assembly: Assembly) -> Any:
        live = {each.rule.id: each.rule for each in await RuleStore(assembly.db, time.monotonic).live()}
        told = {}
        for each in rules:
            force = live.pop(each.rule.id, None)
            if force is None:
                told[each.rule.id] = ["new"]
            elif found := changes(force, each.rule):
                told[each.rule.id] = [f"{c.path}: {c.before} -> {c.after}" for c in found]
        return told | {name: ["not in the folder"] for name in live}

    told = _run(does)
    if not as_json:
        for rule, lines in told.items():
            for line in lines:
                typer.echo(f"{rule}: {line}")
    _report({"different": told} if as_json else {"different": len(told)}, defects, as_json=as_json)


@app.command("schema")
def schema() -> None:
    """The JSON Schema of a file, as in data/rules/rule.schema.json."""
    typer.echo(schema_text(), nl=False)


def schema_text() -> str:
    """The same as text; `docs` writes it."""
    return orjson.dumps(rule_schema(), option=orjson.OPT_INDENT_2).decode() + "\n"


async def open_rules(assembly: Assembly, only: Collection[str] = ()) -> int:
    """Let one of the demo's officers hand in the rules of `data/rules` and another release them; how many are new.

    All of them or `only` some.
    """
    office = proactive(assembly).office
    accounts = [account.officer for account in await assembly.officers.accounts(None)]
    editor, approver = _of(accounts, Role.EDITOR), _of(accounts, Role.APPROVER)
    rules, _ = read_rules(read_rule_texts())
    store, new = RuleStore(assembly.db, time.monotonic), 0
    for each in rules:
        if only and each.rule.id not in only:
            continue
        force, desk = await store.in_force(each.rule.id), await store.on_desk(each.rule.id)
        if desk is not None or (force is not None and digest_of(force.rule) == digest_of(each.rule)):
            continue
        drafted = await office.draft(editor, each.rule)
        submitted = await office.submit(editor, each.rule.id, drafted.edit)
        await office.release(approver, each.rule.id, submitted.digest)
        new += 1
    return new


def _of(officers: Sequence[Officer], role: Role) -> Officer:
    return next(officer for officer in officers if role in officer.roles)


def _checked(folder: Path) -> tuple[list[FiledRule], list[RuleDefect]]:
    rules, defects = read_rules(read_rule_texts(folder))
    items = {item.id: item for item in read_seed(load(os.environ).city).items}
    known = Known(load_facts(), items, load_units(), load_consents(), frames_of(load_texts().templates))
    for each in rules:
        defects += each.defects(faults_of(each.rule, known))
        if item := items.get(each.rule.item):
            defects += each.defects(item_faults(each.rule, item, known.facts))
    return rules, defects


def _run(does: Does) -> Any:
    async def run() -> Any:
        async with assembled(load(os.environ)) as assembly:
            return await does(assembly)

    return uvloop.run(run())


def _report(told: dict[str, Any], defects: Sequence[RuleDefect], *, as_json: bool) -> None:
    """Say what was done; exit code 1 if anything was wrong."""
    for defect in defects:
        typer.echo(str(defect), err=True)
    if as_json:
        typer.echo(orjson.dumps(told | {"defects": [str(defect) for defect in defects]}))
    else:
        figures = ", ".join(f"{name} {len(v) if isinstance(v, list) else v}" for name, v in told.items())
        typer.echo(f"{figures}, {len(defects)} defects")
    if defects:
        raise typer.Exit(1)
