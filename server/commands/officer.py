"""`officer`: the accounts of the office, managed at the server itself. The first account of a city is made here.

There is no default account. `create` and `recover` print a one-time link; whoever uses it sets the password and gets
the second factor. What is done here is in the audit log as the operator's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer
import uvloop
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from server.assemble import Assembly
from server.commands.serve import assembled
from server.domain.errors import InvalidInputError
from server.domain.officers import Account, NewOfficer, Role, Unit
from server.domain.sessions import LINK_LIFE
from server.services.officers import Officers
from server.settings import load

app = typer.Typer(no_args_is_help=True, help="Accounts of the office: invite, list, lock, recover. 账号")
ACTIVATION = "/v1/staff/activation"

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Who = Annotated[str, typer.Argument(help="Id or name, as `officer list` prints them.")]
ROLES = f"Comma-separated: {', '.join(Role)}."


@app.command()
def create(  # noqa: PLR0913 - one option for each thing that an account is made of
    *,
    name: Annotated[str, typer.Option(help="To log in with; unique.")],
    person: Annotated[str, typer.Option(help="Staff number of the human being; two accounts may share it.")],
    roles: Annotated[str, typer.Option(help=ROLES)],
    unit: Annotated[str, typer.Option(help="Code of the unit, 14 characters; enough if another officer has it.")],
    unit_name: Annotated[str, typer.Option(help="As headlines say it: 深圳市气象台.")] = "",
    unit_name_en: Annotated[str, typer.Option(help="The same in English.")] = "",
    sender: Annotated[str, typer.Option(help="CAP name of the unit: weather@sz.example.")] = "",
    contact: Annotated[str, typer.Option(help="Telephone that alerts may name.")] = "",
    division: Annotated[str, typer.Option(help="Root of the divisions to act in; default: the unit's.")] = "",
    events: Annotated[str, typer.Option(help="Comma-separated prefixes of event codes: 11B,11E01.")] = "",
    institutions: Annotated[str, typer.Option(help="Comma-separated units whose bookings these are: sz-hall.")] = "",
    json_: Json = False,
) -> None:
    """Invite an officer and print the one-time link."""

    async def work(assembly: Assembly) -> None:
        known = {a.officer.unit.code: a.officer.unit for a in await assembly.officers.accounts(None)}
        given = {"name": unit_name, "name_en": unit_name_en, "sender": sender, "contact": contact}
        fields = {"code": unit, "division": unit[:6]} | (known[unit].model_dump() if unit in known else {})
        new = _checked(
            name=name,
            person=person,
            roles=_listed(roles),
            unit=fields | {key: value for key, value in given.items() if value},
            division=division or fields["division"],
            events=_listed(events),
            institutions=_listed(institutions),
        )
        account, link = await assembly.officers.create(None, new)
        _print_link(account, link, json_=json_)

    _run(work)


@app.command("list")
def list_(*, json_: Json = False) -> None:
    """All accounts: who, in which roles, where, and whether the link was used."""

    async def work(assembly: Assembly) -> None:
        accounts = await assembly.officers.accounts(None)
        if json_:
            _print_json([_facts(account) for account in accounts])
            return
        table = Table("id", "name", "person", "roles", "unit", "division", "events", "state", "can be called", box=None)
        for a in accounts:
            o = a.officer
            roles, called = " ".join(sorted(o.roles)), "yes" if a.can_be_called else "no"
            table.add_row(o.id, o.name, o.person, roles, o.unit.name, o.division, " ".join(o.events), a.state, called)
        Console().print(table)

    _run(work)


@app.command()
def lock(who: Who) -> None:
    """Keep an officer out, at once."""
    _run_on(who, lambda officers, id_: officers.lock(None, id_))


@app.command()
def unlock(who: Who) -> None:
    """Let a locked officer in again, and forget the failed log-ins."""
    _run_on(who, lambda officers, id_: officers.unlock(None, id_))


@app.command("roles")
def roles_(who: Who, roles: Annotated[str, typer.Argument(help=ROLES)]) -> None:
    """Give other roles; they hold from the next request on."""
    wanted = frozenset(_role(role) for role in _listed(roles))
    _run_on(who, lambda officers, id_: officers.change(None, id_, wanted))


@app.command()
def recover(who: Who, *, json_: Json = False) -> None:
    """Print a new one-time link: the password, second factor and sessions of before are void."""

    async def work(assembly: Assembly) -> None:
        account = await _found(assembly.officers, who)
        _print_link(account, await assembly.officers.recover(None, account.officer.id), json_=json_)

    _run(work)


@app.command()
def sessions(
    who: Who,
    *,
    end: Annotated[bool, typer.Option("--end", help="End all of them.")] = False,
    json_: Json = False,
) -> None:
    """Where an officer is logged in."""

    async def work(assembly: Assembly) -> None:
        account = await _found(assembly.officers, who)
        live = await assembly.officers.sessions(account.officer.id)
        if end:
            await assembly.officers.end_all(None, account.officer.id)
        if json_:
            facts = [{"id": s.id, "origin": s.origin, "created_at": s.created_at, "seen_at": s.seen_at} for s in live]
            _print_json({"sessions": facts, "are_ended": end})
            return
        table = Table("session", "from", "since", "last used", box=None)
        for s in live:
            table.add_row(s.id, s.origin, f"{s.created_at:%F %T}Z", f"{s.seen_at:%F %T}Z")
        Console().print(table)

    _run(work)


def _run(work: Callable[[Assembly], Awaitable[None]]) -> None:
    settings = load(os.environ)

    async def go() -> None:
        async with assembled(settings) as assembly:
            await work(assembly)

    uvloop.run(go())


def _run_on(who: str, change: Callable[[Officers, str], Awaitable[Account]]) -> None:
    async def work(assembly: Assembly) -> None:
        account = await _found(assembly.officers, who)
        _print_json(_facts(await change(assembly.officers, account.officer.id)))

    _run(work)


async def _found(officers: Officers, who: str) -> Account:
    """The account of this id or name; InvalidInputError `officer_unknown`."""
    for account in await officers.accounts(None):
        if who in {account.officer.id, account.officer.name}:
            return account
    raise InvalidInputError("officer_unknown", zh="没有这个账号", en="there is no such account")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise _misfit("roles", f"{name}: one of {', '.join(Role)}") from None


def _checked(**fields: Any) -> NewOfficer:
    try:
        fields["unit"] = Unit.model_validate(fields["unit"])
        return NewOfficer.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise _misfit(".".join(map(str, first["loc"])), first["msg"]) from None


def _misfit(field: str, why: str) -> InvalidInputError:
    return InvalidInputError("officer_invalid", zh=f"{field} 有误：{why}", en=f"{field}: {why}", field=field)


def _facts(account: Account) -> dict[str, Any]:
    officer = account.officer
    return {
        "id": officer.id,
        "name": officer.name,
        "person": officer.person,
        "roles": sorted(officer.roles),
        "unit": officer.unit.code,
        "division": officer.division,
        "events": list(officer.events),
        "institutions": list(officer.institutions),
        "state": account.state,
        "can_be_called": account.can_be_called,
        "created_at": account.created_at,
    }


def _print_link(account: Account, link: str, *, json_: bool) -> None:
    hours = LINK_LIFE.total_seconds() / 3600
    if json_:
        _print_json({"id": account.officer.id, "name": account.officer.name, "path": ACTIVATION, "link": link})
        return
    typer.echo(f"{account.officer.name} ({account.officer.id})")
    typer.echo(f"one-time link, good for {hours:.0f} hours 一次性链接: {ACTIVATION}#{link}")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))
