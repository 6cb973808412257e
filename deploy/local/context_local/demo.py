"""The first start's data, this project's own decisions and commits, and a question about them."""

import json
import shutil
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

from context_local.processes import Process, spawn

PROJECT = Path(__file__).parents[3]
COMMITS = 200
QUESTION = "why is the change feed not simply a log?"
MAX_TOKENS = 4000


def commands(url: str) -> list[tuple[str, ...]]:
    """What loads the demo data; nothing where this package does not stand in its project."""
    contextctl = (sys.executable, "-m", "context_client", "--url", url)
    found: list[tuple[str, ...]] = []
    if (PROJECT / "docs" / "adr").is_dir():
        found.append((*contextctl, "import", "adr", str(PROJECT / "docs" / "adr")))
    if (PROJECT / ".git").exists() and shutil.which("git"):
        found.append((*contextctl, "import", "git", str(PROJECT), "--limit", str(COMMITS)))
    return found


async def load(url: str, environ: Mapping[str, str], log: Path) -> list[str]:
    """Load the demo data through the REST API; answers the commands that failed. Their output is in `log`."""
    failed = []
    for command in commands(url):
        child = await spawn(Process("demo", command), environ, log)
        try:
            code = await child.wait()
        finally:
            if child.returncode is None:
                child.kill()
        if code != 0:
            failed.append(" ".join(command))
    return failed


def ask(url: str, token: str = "", question: str = QUESTION) -> dict[str, Any]:
    """The bundle that answers `question`; `token` is the credential, where one is needed."""
    body = json.dumps({"query": question, "max_tokens": MAX_TOKENS}).encode()
    return _call(f"{url}/api/context/query", token, body)


def is_wanted(url: str, token: str = "") -> bool:
    """Whether nothing is recorded yet: what somebody has already is not to be mixed with ours."""
    return not _call(f"{url}/api/context/recent?limit=1", token)["items"]


def _call(url: str, token: str, body: bytes | None = None) -> dict[str, Any]:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = Request(url, body, headers)  # noqa: S310 - our own url
    with build_opener(ProxyHandler({})).open(request, timeout=15) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def describe(answer: Mapping[str, Any]) -> str:
    """The first items of a bundle, for people."""
    items = [*answer["key_decisions"], *answer["known_issues"], *answer["recent_changes"]]
    if not items:
        return "  (nothing is recorded yet that bears on it)"
    parts = [f"  {item['id']} {item['title']} ({item['date']})\n{_gist(item)}" for item in items[:2]]
    more = f"\n  and {len(items) - 2} more" if len(items) > 2 else ""
    return "\n".join(parts) + more + f"; {answer['tokens_used']} tokens"


def _gist(item: Mapping[str, Any]) -> str:
    text = item.get("decision") or item.get("root_cause") or item["content"]
    return textwrap.indent(textwrap.fill(textwrap.shorten(text, 320, placeholder=" …"), 100), "    ")
