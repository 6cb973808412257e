"""Secrets planted in every place, into the real processes: nothing that they print, show or answer holds one."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import httpx2
import psycopg
import pytest
from psycopg import sql

from tests.support import loopback
from tests.support.guarded import token
from tests.support.postgres import scratch_database
from tests.support.redis import run_redis
from tests.support.stack import Stack, run_stack

# Of the installation: these reach the processes by their environment.
OWN = {
    "SECRET_KEY_BASE": "planted-Base-6f1d8e3a9c5b7f2e4d0a1b8c",
    "EMBEDDING_API_KEY": "planted-Embedder-93b1c7d5e2f84a60",
    "database": "planted-Database-47ac19e0d3",
    "redis": "planted-Redis-58bd20f1e4",
}
# Of callers: these come in requests, where nobody expects them.
API_KEY = "ctx_pLaNtEd1_" + "k7Q" * 14 + "z" + "a1B2c3"
FOREIGN = "ghp_" + "pLaNtEd0" * 4 + "aB3d"
ADMIN = token(OWN["SECRET_KEY_BASE"], scope="admin", namespaces=["*"])
FORGED = token("another secret of at least thirty-two characters", scope="admin", namespaces=["*"])
CALLERS = {"key": API_KEY, "foreign": FOREIGN, "token": ADMIN, "forged": FORGED}


def with_password(url: str) -> str:
    """The server trusts whoever connects, so that any password will do."""
    return f"{url}{'&' if '?' in url else '?'}password={OWN['database']}"


@pytest.fixture(scope="module")
def planted(postgres_url: str, model_dir: Path) -> Iterator[tuple[Stack, str]]:
    """The stack under those settings, and everything that it answered."""
    settings = {name: value for name, value in OWN.items() if name.isupper()}
    settings |= {"AUTH_REQUIRED": "true", "MODEL_DIR": str(model_dir), "LOG_LEVEL": "debug", "PYTHONFAULTHANDLER": "1"}
    with (
        run_redis(OWN["redis"]) as redis,
        scratch_database(postgres_url) as url,
        run_stack(with_password(url), REDIS_URL=redis.url, RATE_LIMIT="1000/minute", **settings) as stack,
    ):
        answered = [say(stack), metrics(stack)]
        redis.stop()
        answered.append(say(stack))
        cut_off(url)
        answered += [say(stack), metrics(stack)]
        stack.end("gateway", signal.SIGABRT)  # faulthandler shows every thread's stack
        yield stack, "\n".join(answered)


def say(stack: Stack) -> str:
    """Put the secrets of callers wherever a request has room; answers what came back, headers and all."""
    answers = []
    for secret in CALLERS.values():
        for credential in (secret, ADMIN):
            headers = {"Authorization": f"Bearer {credential}", "X-Request-Id": secret[:128], "Prefer": secret}
            with httpx2.Client(base_url=stack.url, headers=headers, timeout=30, trust_env=False) as http:
                answers += [
                    http.get(path) for path in (f"/api/adr/{secret}", f"/{secret}", f"/api/adr?cursor={secret}")
                ]
                answers += [http.get(f"/api/adr?{secret}=1"), http.get(f"/api/context/domain/{quote(secret)}")]
                answers += [http.post("/api/adr", json=body) for body in bodies(secret)]
                answers += [http.post("/api/adr", content=f'{{"title": "{secret}'), http.get(f"/livez?token={secret}")]
                answers += [http.post("/api/context/query", json={"query": f"what is {secret}?"})]
                answers += [http.get("/api/adr", headers={"X-Context-Namespace": secret})]
    failed = [answer for answer in answers if answer.status_code >= 500]
    return "\n".join(f"{answer.status_code} {without_id(answer)}" for answer in failed)


def without_id(answer: httpx2.Response) -> str:
    """What was answered but for the request's id, which is the caller's own and handed back as they gave it."""
    return f"{answer.headers}{answer.text}".replace(answer.headers["x-request-id"], "")


def bodies(secret: str) -> list[object]:
    wrong = {"title": {"password": secret}, "decision": 1, "tags": secret}
    return [wrong, {"title": "x", "decision": f"The key is {secret}."}, [secret], secret]


def metrics(stack: Stack) -> str:
    shown = [stack.metrics(name) for name in ("knowledge", "embedding", "retrieval")]
    headers = {"Authorization": f"Bearer {ADMIN}"}
    return "\n".join([*shown, loopback.get(f"{stack.url}/metrics", headers=headers).text])


def cut_off(url: str) -> None:
    """Let nobody into the database any more."""
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(str(name))))
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


def assert_clean(text: str) -> None:
    found = [name for name, secret in (OWN | CALLERS).items() if secret in text]
    assert not found
    assert "planted" not in text.lower().replace("pixeltable", "")


def test_nothing_that_the_processes_print_holds_a_secret(planted: tuple[Stack, str]) -> None:
    stack, _ = planted
    logs = {name: stack.log(name) for name in ("knowledge", "embedding", "retrieval", "gateway")}
    # What was planted did arrive: each of these is in the logs of the one it was sent to.
    assert "rate_limit_store_away" in logs["gateway"]
    assert "Fatal Python error: Aborted" in logs["gateway"]
    assert "not_ready" in logs["knowledge"]
    for text in logs.values():
        assert_clean(text)


def test_no_metric_and_no_failure_shows_one(planted: tuple[Stack, str]) -> None:
    _, answered = planted
    assert "http_requests_total" in answered
    assert "503" in answered
    assert_clean(answered)


BROKEN = {
    "no port": f"postgresql://user:{OWN['database']}@127.0.0.1:notaport/x",
    "a space": f"postgresql://user:{OWN['database']} and more@127.0.0.1/x",
    "nobody there": f"postgresql://user:{OWN['database']}@127.0.0.1:1/x",
    "no url": f"host=127.0.0.1 port=1 password={OWN['database']} nonsense",
}


SPEAKS_WITHIN, HEARD_FOR = 60.0, 12.0  # seconds
CASES = [(module, name) for module in ("context_knowledge", "context_retrieval") for name in BROKEN]


@pytest.fixture(scope="module")
def printed() -> dict[tuple[str, str], str]:
    """What processes print that cannot start; all at once, since most of them try for as long as they are let."""
    common = {**os.environ, "LISTEN": "127.0.0.1:0", "LOG_LEVEL": "debug"}
    with ThreadPoolExecutor(len(CASES)) as threads:
        texts = threads.map(lambda case: run(case[0], {**common, "DATABASE_URL": BROKEN[case[1]]}), CASES)
        return dict(zip(CASES, texts, strict=True))


@pytest.mark.parametrize(("module", "name"), CASES)
def test_a_process_that_cannot_start_does_not_say_why_in_full(
    printed: dict[tuple[str, str], str], module: str, name: str
) -> None:
    assert printed[module, name], "it printed nothing"
    assert_clean(printed[module, name])


def test_the_gateway_refuses_its_settings_without_showing_them() -> None:
    secret = "planted" * 4
    environ = {**os.environ, "APP_ENV": "prod", "SECRET_KEY_BASE": secret, "REDIS_URL": f"http://:{secret}@x"}
    printed = run("context_gateway", environ)
    assert "SECRET_KEY_BASE" in printed
    assert "REDIS_URL" in printed
    assert_clean(printed)


def run(module: str, environ: dict[str, str]) -> str:
    """Everything that a process prints until it ends, or for some seconds from the first of it."""
    command = [sys.executable, "-m", module]
    with (
        tempfile.TemporaryFile("w+") as output,
        subprocess.Popen(command, env=environ, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        spoken, until = False, time.monotonic() + SPEAKS_WITHIN
        while process.poll() is None and time.monotonic() < until:
            if not spoken and os.fstat(output.fileno()).st_size:
                spoken, until = True, time.monotonic() + HEARD_FOR
            time.sleep(0.1)
        process.kill()
        process.wait()
        output.seek(0)
        return output.read()
