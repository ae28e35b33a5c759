"""The command line: `python -m server` (installed also as `huimin`).

Each sub-command is a file in `server/commands`, and one line here hangs it up. This is one of the three edges where
every exception ends: one we raise on purpose becomes one line in the language of the terminal, any other one line with
a reference (and its traceback in the log with --debug). Exit codes: 0 done, 1 it failed, 2 the input or a setting is
wrong.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, NoReturn

import structlog
import typer

from server import telemetry
from server.commands import (
    alert,
    audit,
    booking,
    catalogue,
    counters,
    database,
    demo,
    docs,
    doctor,
    facts,
    health,
    keys,
    ledger,
    notice,
    officer,
    partner,
    rules,
    sandbox,
    serve,
    version,
    weather,
)
from server.commands import run as run_city
from server.domain.errors import ConfigurationError, HuiminError, InvalidInputError

# The groups of --help.
WARN = "Warn a city 预警"
RUN = "Run the server 运行"
HOUSE = "Look after the house 运维"

EPILOG = """
**Examples**

`python -m server doctor`: is everything here that Huimin needs, and what to install if not

`python -m server db run`: the embedded databases in the foreground, for a look inside

`python -m server COMMAND --help`: what a command takes; most speak `--json`

Settings are HUIMIN_* variables; none is needed to start. 设置为 HUIMIN_* 环境变量，均可省略。
"""


def command_line() -> typer.Typer:
    """The whole command line. To add a command, add its line."""
    app = typer.Typer(
        name="huimin", no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False, epilog=EPILOG
    )
    app.callback()(root)
    app.command("demo", rich_help_panel=WARN)(demo.demo)
    app.add_typer(ledger.app, name="ledger", rich_help_panel=WARN)
    app.add_typer(alert.app, name="alert", rich_help_panel=WARN)
    app.command("run", rich_help_panel=RUN)(run_city.run)
    app.command("notice", rich_help_panel=WARN)(notice.notice)
    app.command("sandbox", rich_help_panel=RUN)(sandbox.sandbox)
    app.command("api", rich_help_panel=RUN)(serve.api)
    app.command("worker", rich_help_panel=RUN)(serve.worker)
    app.add_typer(officer.app, name="officer", rich_help_panel=HOUSE)
    app.add_typer(audit.app, name="audit", rich_help_panel=HOUSE)
    app.add_typer(booking.app, name="booking", rich_help_panel=HOUSE)
    app.add_typer(catalogue.app, name="catalogue", rich_help_panel=HOUSE)
    app.add_typer(rules.app, name="rules", rich_help_panel=HOUSE)
    app.add_typer(counters.app, name="counters", rich_help_panel=HOUSE)
    app.add_typer(facts.app, name="facts", rich_help_panel=HOUSE)
    app.add_typer(partner.app, name="partner", rich_help_panel=HOUSE)
    app.add_typer(weather.app, name="weather", rich_help_panel=HOUSE)
    app.add_typer(keys.app, name="keys", rich_help_panel=HOUSE)
    app.add_typer(database.app, name="db", rich_help_panel=HOUSE)
    app.command("doctor", rich_help_panel=HOUSE)(doctor.doctor)
    app.command("docs", rich_help_panel=HOUSE)(docs.docs)
    app.command("health", rich_help_panel=HOUSE)(health.health)
    app.command("version", rich_help_panel=HOUSE)(version.version)
    return app


def main() -> None:
    """The command line of this process."""
    run(command_line(), sys.argv[1:], os.environ)


def run(app: typer.Typer, arguments: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Run one command and leave with its exit code."""
    try:
        app(list(arguments), prog_name="huimin")
    except HuiminError as error:
        typer.echo(f"huimin: {error.zh if speaks_chinese(environ) else error.en} [{error.code}]", err=True)
        sys.exit(2 if isinstance(error, ConfigurationError | InvalidInputError) else 1)
    except Exception as error:  # noqa: BLE001 - the edge: nobody above can do more than read it
        reference = uuid.uuid4().hex[:12]
        typer.echo(_unexpected(error, reference, is_chinese=speaks_chinese(environ)), err=True)
        if "--debug" in arguments:
            structlog.get_logger().error("unexpected", reference=reference, exc_info=error)
        sys.exit(1)
    sys.exit(0)


def speaks_chinese(environ: Mapping[str, str]) -> bool:
    """Whether the terminal asks for Chinese, by POSIX precedence of the locale variables."""
    chosen = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return chosen.lower().startswith("zh")


def root(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Log more, and tracebacks of unexpected errors.")] = False,
) -> None:
    """Huimin 惠民: the mobile back end of a city. It warns millions of people in seconds and proves who was reached."""
    telemetry.configure(console=sys.stderr.isatty(), debug=debug)


def _unexpected(error: Exception, reference: str, *, is_chinese: bool) -> str:
    what = telemetry.masked(f"{type(error).__name__}: {error}")
    if is_chinese:
        return f"huimin: 意外错误 {reference}（{what}）；加 --debug 重试可在日志中看到详情"
    return f"huimin: unexpected error {reference} ({what}); try again with --debug for its traceback in the log"


if __name__ == "__main__":
    main()
