"""The real stack with credentials on, and credentials of every kind for it."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from context_local import health
from tests.support import loopback
from tests.support.postgres import scratch_database
from tests.support.stack import Stack, run_stack

SECRET = "a secret of at least thirty-two characters"
SKILLS = Path(__file__).parents[2] / "skills"
READ, WRITE, ADMIN = "context:read", "knowledge:write", "admin"


@dataclass
class Guarded:
    """A stack, and the first key, which may do everything everywhere."""

    stack: Stack
    root: str

    def request(self, method: str, path: str, credential: str = "", **more: Any) -> httpx2.Response:
        """One request; `namespace` is a header, the rest is httpx's."""
        headers = {**more.pop("headers", {}), **({"authorization": f"Bearer {credential}"} if credential else {})}
        if namespace := more.pop("namespace", ""):
            headers["x-context-namespace"] = namespace
        url = more.pop("url", self.stack.url)
        return loopback.request(method, f"{url}{path}", headers=headers, timeout=30, **more)

    def key(self, *scopes: str, **fields: Any) -> dict[str, Any]:
        """A new key, as its making is answered."""
        body = {"name": "test", "scopes": scopes, "namespaces": ["web"], **fields}
        answer = self.request("POST", "/api/admin/keys", self.root, json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    @contextmanager
    def second_gateway(self) -> Iterator[str]:
        """The address of another gateway before the same services."""
        [port] = health.free_ports(1)
        row = self.stack.row("gateway")
        environment = {**row.environment, "PORT": str(port)}
        with self.stack.beside(replace(row, name="gateway-2", environment=environment)):
            url = f"http://{health.LOOPBACK}:{port}"
            self.stack.wait_until(lambda: health.answers(f"{url}/readyz"))
            yield url


def token(secret: str = SECRET, **claims: Any) -> str:
    """A JWT as a small installation signs it."""
    whole = {"sub": "ada", "exp": int(time.time()) + 600, "namespaces": ["web"], "scope": f"{READ} {WRITE}"} | claims
    return jwt.encode(whole, secret, "HS256")


def first_key(stack: Stack) -> str:
    """What the first start prints, once."""
    row = stack.row("knowledge")
    environ = {**os.environ, **row.environment}
    ran = subprocess.run([*row.command, "first-key"], env=environ, capture_output=True, text=True, check=True)
    return ran.stdout.strip().removeprefix("admin key: ")


@pytest.fixture(scope="module")
def guarded(postgres_url: str, model_dir: Path) -> Iterator[Guarded]:
    """A stack of a module's own, since it differs from that of the others by its settings."""
    # A change is given up after 3 attempts: 5 take a minute and a half.
    settings = {"MODEL_DIR": str(model_dir), "AUTH_REQUIRED": "true", "SECRET_KEY_BASE": SECRET, "FEED_ATTEMPTS": "3"}
    settings["SKILLS_PATH"] = str(SKILLS)
    with scratch_database(postgres_url) as url, run_stack(url, **settings) as stack:
        yield Guarded(stack, first_key(stack))
