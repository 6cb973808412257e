"""The first key: printed once, whoever asks and however often, so that somebody can come in at all."""

import asyncio
import os
import sys

from context_common.caller import ADMIN, READ, WRITE
from tests.support.administration import Administration
from tests.support.knowledge import Knowledge

WORDS = "admin key: "


async def first_key(url: str) -> bytes:
    """What the command prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "context_knowledge",
        "first-key",
        env={**os.environ, "DATABASE_URL": url, "LOG_LEVEL": "debug"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, wrong = await process.communicate()
    assert process.returncode == 0, wrong
    assert WORDS.encode() not in wrong
    return said


async def test_of_many_processes_one_prints_a_key_that_opens_everything(
    knowledge: Knowledge, administration: Administration
) -> None:
    said = await asyncio.gather(*(first_key(knowledge.url) for _ in range(4)))
    (line,) = (text.decode() for text in said if text)
    assert line.startswith(WORDS)
    assert line.endswith("\n")
    found = await administration.authenticate(line.removeprefix(WORDS).strip())
    assert list(found.grants.scopes) == sorted([ADMIN, READ, WRITE])
    assert list(found.grants.namespaces) == ["*"]
    (entry,) = await administration.audit(action="create_key")
    assert (entry.principal, entry.item_id) == ("service:knowledge", found.id)
    assert await knowledge.count("keys") == 1


async def test_there_is_another_only_where_none_stands(knowledge: Knowledge, administration: Administration) -> None:
    await administration.create_key(scopes=[ADMIN], namespaces=["web"])
    await administration.create_key(scopes=[READ], namespaces=["*"])
    assert (await first_key(knowledge.url)).startswith(WORDS.encode())
    assert await first_key(knowledge.url) == b""
    await knowledge.execute("UPDATE keys SET revoked_at = now()")
    assert (await first_key(knowledge.url)).startswith(WORDS.encode())
    await knowledge.execute("UPDATE keys SET revoked_at = NULL, expires_at = now()")
    assert (await first_key(knowledge.url)).startswith(WORDS.encode())
