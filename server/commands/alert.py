"""`alert check` and `alert convert`: try a message file without a server, as an editor or a partner's script would.

Promises: every finding of every file in one run; nothing is stored or sent; `--json` prints one array and nothing else.
Exit codes: 0 all files accepted, 1 some are not, 2 wrong usage or a file that cannot be read or written.
"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape

from server.domain.alerts import rules
from server.domain.alerts.cap import to_cap
from server.domain.alerts.context import Message, Profile
from server.domain.alerts.document import MAX_BYTES
from server.domain.alerts.finding import Finding, Gravity
from server.domain.alerts.guotu_writing import to_guotu
from server.domain.alerts.model import Alert
from server.domain.alerts.reading import Inspection, Reading, inspect, read
from server.domain.alerts.repair import repaired
from server.domain.alerts.vocabulary import Dialect

app = typer.Typer(no_args_is_help=True, help="Check and convert alert files (CAP 1.2, CAP 1.1, 国突).")

_WRITERS = {"cap": to_cap, "guotu": to_guotu}
_COLOURS = {Gravity.ERROR: "red", Gravity.QUARANTINE: "magenta", Gravity.WARNING: "yellow"}

Files = Annotated[list[Path], typer.Argument(help="alert files", exists=True, dir_okay=False, readable=True)]


class Target(enum.StrEnum):
    """The dialects that can be written."""

    CAP = "cap"
    GUOTU = "guotu"


@app.command("check")
def check(files: Files, *, as_json: Annotated[bool, typer.Option("--json", help="print a JSON array")] = False) -> None:
    """Say of each file whether it would be accepted, in which dialect it is, and everything that is wrong with it.

    The rules of the intake profile apply, without those that need a registry, a clock or earlier messages. A file that
    fails its schema is not accepted; a warning keeps nothing out.
    """
    inspections = [(path, inspect(_bytes(path))) for path in files]
    if as_json:
        rows = [_row(path, inspection) for path, inspection in inspections]
        typer.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2))
    else:
        console = Console()
        for path, inspection in inspections:
            _show(console, path, inspection)
    raise typer.Exit(0 if all(inspection.is_accepted for _, inspection in inspections) else 1)


@app.command("convert")
def convert(
    file: Annotated[Path, typer.Argument(help="an alert file", exists=True, dir_okay=False, readable=True)],
    *,
    to: Annotated[Target, typer.Option("--to", help="the dialect to write")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="where to write; default: standard output")] = None,
) -> None:
    """Write a message in the other dialect; nothing is lost, and converting back gives the same message."""
    reading = read(_bytes(file))
    if reading.alert is None:
        console = Console(stderr=True)
        for finding in reading.findings:
            _print_finding(console, finding)
        raise typer.Exit(1)
    written = _WRITERS[to](_modern(reading))
    if out is None:
        typer.echo(written)
        return
    try:
        out.write_bytes(written + b"\n")
    except OSError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from error


def _bytes(path: Path) -> bytes:
    """The file, as far as is needed to see that it is too large."""
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _modern(reading: Reading) -> Alert:
    """The alert; from CAP 1.1 with its times and "Very Likely" as CAP 1.2 wants them."""
    assert reading.alert is not None
    if reading.dialect is not Dialect.CAP11:
        return reading.alert
    message = Message(reading.alert, is_schema_known=True)
    findings = [f for f in rules.check(message, Profile.INTAKE) if f.code in {"CAP-006", "CAP-020"}]
    return repaired(reading.alert, findings)


def _row(path: Path, inspection: Inspection) -> dict[str, Any]:
    return {
        "file": str(path),
        "accepted": inspection.is_accepted,
        "as": inspection.dialect,
        "findings": [
            {
                "code": finding.code,
                "path": finding.path,
                "line": finding.line,
                "severity": finding.severity,
                "text": finding.en,
                "text_zh": finding.zh,
            }
            for finding in inspection.findings
        ],
    }


def _show(console: Console, path: Path, inspection: Inspection) -> None:
    verdict = "[green]accepted 接受[/]" if inspection.is_accepted else "[red]not accepted 不接受[/]"
    dialect = f" as {inspection.dialect}" if inspection.dialect else ""
    console.print(f"[bold]{escape(str(path))}[/]: {verdict}{dialect}", highlight=False, soft_wrap=True)
    for finding in inspection.findings:
        _print_finding(console, finding)


def _print_finding(console: Console, finding: Finding) -> None:
    colour, place = _COLOURS[finding.severity], f"{finding.path}:{finding.line or '-'}"
    console.print(
        f"  [{colour}]{finding.severity:<10}[/] {finding.code} {escape(place)}", highlight=False, soft_wrap=True
    )
    console.print(f"    {escape(finding.en)}\n    {escape(finding.zh)}", highlight=False, soft_wrap=True)
