"""What the services' own code says of them: which settings they read, whom they call, what they register and route."""

import contextlib
import re
from collections.abc import ItemsView, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from context.v1 import admin_pb2, embedding_pb2, knowledge_pb2, retrieval_pb2
from context_common.settings import SettingsError
from context_embedding.settings import Settings as EmbeddingSettings
from context_gateway.access import OPERATIONS
from context_gateway.settings import Settings as GatewaySettings
from context_knowledge.settings import Settings as KnowledgeSettings
from context_ops.settings import Settings as OpsSettings
from context_retrieval.settings import Settings as RetrievalSettings
from tests.support.commands import commands

ROOT = Path(__file__).parents[3]
SETTINGS: Mapping[str, Any] = {
    "gateway": GatewaySettings,
    "knowledge": KnowledgeSettings,
    "embedding": EmbeddingSettings,
    "retrieval": RetrievalSettings,
}
SERVICES = tuple(SETTINGS)
PROGRAMS: Mapping[str, Any] = {**SETTINGS, "cli": OpsSettings}
REGISTERED: Mapping[str, tuple[str, ...]] = {
    "knowledge": tuple(
        service.full_name
        for messages in (knowledge_pb2, admin_pb2)
        for service in messages.DESCRIPTOR.services_by_name.values()
    ),
    "embedding": tuple(service.full_name for service in embedding_pb2.DESCRIPTOR.services_by_name.values()),
    "retrieval": tuple(service.full_name for service in retrieval_pb2.DESCRIPTOR.services_by_name.values()),
}
OPEN_PATHS = frozenset(name.removeprefix("GET ") for name, row in OPERATIONS.items() if row.open)


class Recorder(Mapping[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._environ[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def items(self) -> ItemsView[str, str]:
        """All of it: whoever looks through it has asked for nothing yet."""
        return self._environ.items()

    def __len__(self) -> int:
        return len(self._environ)


def settings(service: str, environ: Mapping[str, str]) -> tuple[Any, set[str]]:
    """The settings that a service, or the command line, makes of an environment, and the names that it asked for.

    Raises:
        SettingsError: It would not start.
    """
    recorder = Recorder(environ)
    return PROGRAMS[service].from_env(recorder), recorder.asked


@cache
def settings_of(service: str) -> frozenset[str]:
    """The names of the environment that a service's settings come from."""
    recorder = Recorder({})
    with contextlib.suppress(SettingsError):  # what is missing was asked for as well
        SETTINGS[service].from_env(recorder)
    return frozenset(recorder.asked)


@lru_cache
def secrets() -> frozenset[str]:
    """Names that hold what nobody may see: those that any code reads by `Env.secret`."""
    folders = ("services", "libs/common/context_common", "deploy/ops")
    texts = (path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return frozenset(name for text in texts for name in re.findall(r'\.secret\(\s*"([A-Z0-9_]+)"', text))


def program_of(image: str) -> str:
    """Whose an image is: a service's, or `cli`."""
    return re.sub(r"[@:].*", "", image.rpartition("/")[2]).removeprefix("context-")


@cache
def has_command(program: str, args: tuple[str, ...]) -> bool:
    """Whether a program has a command of that name, or a group of them."""
    if program != "cli":
        return args == ("migrate",)
    wanted = " ".join(("contextctl", *args))
    return any(f"{command} ".startswith(f"{wanted} ") for command in commands())


def callees(service: str) -> set[str]:
    """Which services a service calls: those whose address it reads."""
    return {name.removesuffix("_ADDR").lower() for name in settings_of(service) if name.endswith("_ADDR")}
