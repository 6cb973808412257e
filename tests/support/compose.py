"""The Compose files as Compose merges them, for tests that have no Docker."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
BASE, PROD, MTLS = (
    ROOT / name for name in ("docker-compose.yml", "docker-compose.prod.yml", "deploy/compose/mtls.yml")
)
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])((?:[^${}]|\$\{[^}]*\})*))?\}")
SECRETS = "/run/secrets"


class Reset:
    """What `!reset` stands for: nothing, whatever stood there."""


class Loader(yaml.SafeLoader):
    """Knows Compose's own tag."""


Loader.add_constructor("!reset", lambda loader, node: Reset())


def load(path: Path) -> dict[str, Any]:
    """One file as it is."""
    found: dict[str, Any] = yaml.load(path.read_text(), Loader)  # noqa: S506 - a SafeLoader
    return found


def merged(*paths: Path, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The files over each other, with the variables of `environ` and the defaults in them."""
    whole: Any = {}
    for path in paths:
        whole = _over(whole, load(path))
    found: dict[str, Any] = _fill(whole, environ or {})
    return found


def services(*paths: Path, environ: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """The services of `merged`."""
    found: dict[str, dict[str, Any]] = merged(*paths, environ=environ)["services"]
    return found


def variables(path: Path) -> set[str]:
    """The names that Compose takes from its environment."""
    text = re.sub(r"(?m)^\s*#.*$|\$\$", "", path.read_text())
    return set(re.findall(r"\$\{(\w+)", text))


def prepare(folder: Path, name: str = "context.test") -> "subprocess.CompletedProcess[str]":
    """Run the script that makes secrets and a certificate, in `folder`."""
    environ = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "SECRETS_DIR": str(folder / "secrets"),
        "SSL_DIR": str(folder / "ssl"),
        "ENV_FILE": str(folder / "env"),
    }
    command: Sequence[str | Path] = [ROOT / "deploy" / "compose" / "prepare.sh", name]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True)


def environment(service: Mapping[str, Any], secrets: Path) -> dict[str, str]:
    """What a container's process finds in its environment, its secrets being in `secrets`."""
    return {name: str(value).replace(SECRETS, str(secrets)) for name, value in service["environment"].items()}


def _over(below: Any, above: Any) -> Any:
    if isinstance(above, Reset):
        return []
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {name: _over(below.get(name), value) for name, value in above.items()}
    if isinstance(below, list) and isinstance(above, list):
        return below + above
    return above


def _fill(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _fill(inner, environ) for name, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, environ) for inner in value]
    return _text(value, environ) if isinstance(value, str) else value


def _text(text: str, environ: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name, kind, otherwise = found.groups()
        if given := environ.get(name, ""):
            return given
        if kind == "?":
            raise KeyError(f"{name}: {otherwise}")
        return _text(otherwise or "", environ)

    return VARIABLE.sub(value, text).replace("$$", "$")
