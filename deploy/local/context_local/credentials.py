"""What a system with credentials takes: the first key, which its owner sees once, and a token of our own."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import jwt

from context_common.caller import READ, WRITE
from context_local.processes import Process, popen_options
from context_local.settings import Settings

SUBJECT = "local-stack"
NAMESPACE = "default"
LIFETIME = 15 * 60  # seconds in which the demo data is loaded
LABEL = "admin key: "


class FirstKeyError(Exception):
    """The first key could not be made."""


async def first_key(knowledge: Process, environ: Mapping[str, str], log: Path) -> str:
    """The key for everything that is made where there is none; empty where there is one.

    Args:
        knowledge: The service, which makes it on its own database.
        environ: The environment that it starts from.
        log: What it says beside the key. The key itself is in no file.

    Raises:
        FirstKeyError: It could not be made; the log says why.
    """
    with log.open("ab") as output:
        options = popen_options(knowledge, environ, output) | {"stdout": asyncio.subprocess.PIPE, "stderr": output}
        child = await asyncio.create_subprocess_exec(*knowledge.command, "first-key", **options)
        printed, _ = await child.communicate()
    if child.returncode != 0:
        raise FirstKeyError(f"the first key could not be made; see {log}")
    return printed.decode().strip().removeprefix(LABEL)


def own_token(settings: Settings) -> str:
    """A token for the demo data and the example question; empty where the gateway takes none of ours."""
    secret = settings.protection.secret_key_base
    if not secret or settings.jwks_url:
        return ""
    claims = {
        "sub": SUBJECT,
        "exp": int(time.time()) + LIFETIME,
        "scope": f"{READ} {WRITE}",
        "namespaces": [NAMESPACE],
        "iss": settings.issuer,
        "aud": settings.audience,
    }
    return jwt.encode({name: value for name, value in claims.items() if value}, secret, "HS256")
