"""Other packages add commands to contextctl, which looks for them only where one of its own does not do."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints

import pytest
import typer
from typer.testing import CliRunner

from context_client.__main__ import COMMANDS
from context_client.cli import app, plugins

HELP = """
import sys
from context_client.__main__ import main
sys.argv = ["contextctl", "--help"]
try:
    main()
except SystemExit:
    print([name for name in ("boto3", "psycopg", "rich", "structlog") if name in sys.modules])
"""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A package that adds `greet`; the list holds what was looked for."""
    added = typer.Typer()

    @added.command()
    def greet() -> None:
        """Be friendly."""
        print("hello")

    asked: list[str] = []

    def find(*, group: str) -> EntryPoints:
        asked.append(group)
        return EntryPoints([EntryPoint("greet", "somewhere.else", group)])

    monkeypatch.setattr(plugins, "entry_points", find)
    monkeypatch.setattr(EntryPoint, "load", lambda _: added)
    plugins._found.cache_clear()
    return asked


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    plugins._found.cache_clear()


def test_an_added_command_runs_and_is_listed(installed: list[str]) -> None:
    run = CliRunner()
    assert run.invoke(app.app, ["greet"]).output == "hello\n"
    listed = run.invoke(app.app, ["--help"]).output
    assert "greet" in listed
    assert "Be friendly." in listed
    assert installed == [plugins.GROUP]


def test_nobody_looks_for_others_where_a_command_is_our_own(installed: list[str]) -> None:
    assert COMMANDS
    assert "Usage" in CliRunner().invoke(app.app, ["keys", "--help"]).output
    assert installed == []


def test_an_unknown_command_is_wrong_usage(installed: list[str]) -> None:
    assert CliRunner().invoke(app.app, ["no-such-command"]).exit_code == 2
    assert installed == [plugins.GROUP]


def test_help_imports_nothing_that_commands_need_when_they_run() -> None:
    ran = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
    assert "  backup " in ran.stdout
