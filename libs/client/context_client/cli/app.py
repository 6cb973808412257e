"""What every command of contextctl shares: the options that say where and as whom, exit codes, errors."""

import functools
import inspect
import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from context_client.cli.plugins import Commands
from context_client.errors import (
    ApiError,
    Away,
    CommandFailed,
    ContextError,
    Denied,
    NotFound,
    Refused,
    ServerError,
)
from context_client.settings import DEFAULT_URL, Settings
from context_client.types import PREFIXES

if TYPE_CHECKING:
    from rich.console import Console

    from context_client.client import Client

FAILED, USAGE, NOT_FOUND, REFUSED, AWAY, DENIED = 1, 2, 3, 4, 5, 6
NOTICED = 2.0  # seconds of silence
EXIT_CODES = (
    (NotFound, NOT_FOUND),
    (Denied, DENIED),
    (Refused, REFUSED),
    (Away, AWAY),
    (ServerError, FAILED),
    (ContextError, AWAY),
)
ITEM = re.compile(rf"\b({'|'.join(PREFIXES)})-")
HELP = f"""Record and ask the memory of an engineering organisation.

\b
Examples:
  contextctl query "why did we stop running our own database servers?"
  contextctl add adr --title "Use Postgres" --decision "We use Postgres." --supersedes ADR-003
  contextctl import adr docs/adr

\b
Environment:
  CONTEXT_URL        where the engine is (default {DEFAULT_URL})
  CONTEXT_TOKEN      the credential to show; never a flag
  CONTEXT_NAMESPACE  whose memory (default: the server's)
  NO_COLOR           no colours, as when the output is not a terminal

\b
Exit codes:
  0  done                          4  refused: invalid, or in conflict
  1  failed, or failed in part     5  not reachable, or away just now
  2  wrong usage                   6  not authenticated, or not allowed
  3  not found                   130  interrupted; 143 by SIGTERM
"""

Url = Annotated[str, typer.Option("--url", help="Where the engine is.", metavar="URL")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Whose memory.", metavar="NAME")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
SHARED = (("url", "", Url), ("namespace", "", Namespace), ("json", False, Json))


@dataclass
class Session:
    """One run of contextctl. Results go to stdout, everything else to stderr."""

    environ: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    namespace: str = ""
    json: bool = False
    transport: Any = None  # tests answer in the server's place
    sleep: Callable[[float], None] = time.sleep

    def client(self) -> "AbstractContextManager[Client]":
        """The engine that the options and the environment name."""
        from context_client.client import Client

        return Client(self.settings(), transport=self.transport, sleep=self._wait)

    def settings(self) -> Settings:
        """Where the engine is, and as whom to ask, by the options and the environment."""
        try:
            return Settings.from_env(self.environ, url=self.url, namespace=self.namespace)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    def own_namespace(self) -> str:
        """The namespace that the options or the environment name, else the server's default one."""
        return self.namespace or self.environ.get("CONTEXT_NAMESPACE") or "default"

    def console(self, *, stderr: bool = False) -> "Console":
        """Where to write for people. Text that is no terminal's gets a fixed width."""
        from rich.console import Console

        terminal = (sys.stderr if stderr else sys.stdout).isatty()
        return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=None if terminal else 100)

    def say(self, message: str) -> None:
        """Tell the person something that is not the result."""
        print(printable(message), file=sys.stderr, flush=True)

    def _wait(self, seconds: float) -> None:
        """Wait for the engine; who waits for long is told, and not left to think that it hangs."""
        if seconds >= NOTICED:
            self.say(f"waiting {seconds:.0f} s for the engine")
        self.sleep(seconds)

    def answer(self, content: Any, show: "Callable[[Console, Any], None]") -> None:
        """Print a result: as JSON for programs, by `show` for people."""
        if self.json:
            print(json.dumps(content, ensure_ascii=False, indent=2))
        else:
            show(self.console(), content)


app = typer.Typer(
    cls=Commands,
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(context: typer.Context, url: Url = "", namespace: Namespace = "", json: Json = False) -> None:
    """Keep the options that stand before the command."""
    session = context.find_object(Session) or Session()
    session.url, session.namespace, session.json = url, namespace, json
    context.obj = session


def command(
    group: typer.Typer, name: str | None = None, *, local: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command: it gets the Session first, the shared options are taken after it too.

    `local`: it does not ask the engine, and so takes no options that say where and whose.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        shared = [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for option, default, kind in (SHARED[-1:] if local else SHARED)
        ]
        context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

        @functools.wraps(function)
        def run(*, context: typer.Context, json: bool, url: str = "", namespace: str = "", **given: Any) -> None:
            session = context.find_object(Session) or Session()
            session.url, session.namespace = url or session.url, namespace or session.namespace
            session.json = json or session.json
            _guarded(session, lambda: function(session, **given))

        parameters = [context, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *shared]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        group.command(name)(run)
        return run

    return decorate


def _guarded(session: Session, work: Callable[[], None]) -> None:
    try:
        work()
    except ContextError as error:
        report(session, error)
        raise typer.Exit(exit_code(error)) from error


def exit_code(error: ContextError) -> int:
    """The exit code that stands for an error."""
    if isinstance(error, CommandFailed):
        return error.code
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def report(session: Session, error: ContextError) -> None:
    """Say on stderr what went wrong and what may help; for programs, the problem document."""
    if session.json and isinstance(error, ApiError):
        print(json.dumps(error.problem, ensure_ascii=False), file=sys.stderr)
        return
    session.say(f"contextctl: {error}")
    request = error.problem.get("request_id") if isinstance(error, ApiError) else None
    match error:
        case NotFound() if "namespace" in str(error).lower():
            session.say("CONTEXT_NAMESPACE or --namespace says which one, of those that the credential may use.")
        case NotFound() if ITEM.search(str(error)):
            session.say("`contextctl list TYPE` and `contextctl search WORDS` show what there is.")
        case Denied(status=401):
            session.say("CONTEXT_TOKEN must hold an API key or a JWT that is good here.")
        case Denied():
            session.say("CONTEXT_TOKEN must hold a credential that may do this.")
        case ServerError():
            session.say(f"The server's log says more under request id {request}.")
        case ApiError() | CommandFailed():
            pass
        case _:
            session.say("Is it running (`make run`)? CONTEXT_URL or --url says where to look.")


def printable(text: str) -> str:
    """`text` without control characters: what was stored must not drive a terminal."""
    return "".join(c if c in "\n\t" or c.isprintable() or c.isspace() else "�" for c in text.replace("\r", ""))
