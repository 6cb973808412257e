"""The documents and the code name the same settings, metrics, endpoints and commands."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ("services", "libs", "deploy/local", "deploy/ops")
READERS = {"text", "secret", "integer", "number", "flag", "choice", "listen", "redis"}
METRICS = {"Counter", "Gauge", "Histogram", "Summary"}


def calls(*folders: str) -> Iterator[ast.Call]:
    """Every call in the sources below `folders`, generated stubs left out."""
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            if "libs/common/context/" not in path.as_posix():
                yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def first_text(call: ast.Call) -> str | None:
    """The call's first argument, where that is a literal string."""
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def table(document: str) -> set[str]:
    """What the first column of the tables in a document names in backquotes."""
    rows = (line.split("|")[1] for line in (ROOT / document).read_text().splitlines() if line.startswith("| `"))
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_every_setting_is_documented_and_every_documented_setting_is_read() -> None:
    read = {
        name
        for call in calls(*CODE)
        if isinstance(call.func, ast.Attribute) and call.func.attr in READERS
        if (name := first_text(call)) and re.fullmatch(r"[A-Z][A-Z0-9_]+", name)
    }
    assert len(read) > 10
    assert read == table("docs/settings.md")


def test_every_metric_is_documented_and_every_documented_metric_exists() -> None:
    made = {
        name
        for call in calls(*CODE)
        if getattr(call.func, "id", getattr(call.func, "attr", "")) in METRICS
        if (name := first_text(call))
    }
    assert len(made) > 5
    assert made == table("docs/metrics.md")


def test_every_endpoint_is_documented_and_every_documented_endpoint_answers() -> None:
    from tests.support.openapi import operations

    assert operations() == table("docs/api.md")


def test_every_command_is_documented_and_every_documented_command_exists() -> None:
    from tests.support.commands import commands

    assert commands() == table("docs/contextctl.md")
