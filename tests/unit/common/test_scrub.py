"""What a process prints holds no secret: its own by value, others' by what they look like."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from context_common import logs, scrub
from context_common.settings import Env

KEY = "ctx_abcd1234_" + "Zx9" * 14 + "Q" + "a1B2c3"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEiLCJleHAiOjE5OTk5OTk5OTl9.dGhpcyBpcyBub3QgYSBzaWduYXR1cmU"


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    before = dict(scrub._hidden)
    scrub._remembered.cache_clear()
    hooks = sys.excepthook, sys.unraisablehook
    yield
    scrub._hidden.clear()
    scrub._hidden.update(before)
    sys.excepthook, sys.unraisablehook = hooks
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("secret", "hidden"),
    [
        ("a-plain-secret", "a-plain-secret"),
        ("ends+in/padding==", "ends+in/padding=="),
        ("postgresql://user:horse-battery@db:5432/x", "horse-battery"),
        ("postgresql://user:horse%20battery@db/x", "horse battery"),
        ("postgresql://user:horse@battery:1@db/x", "horse@battery:1"),
        ("postgresql://user:horse battery@db/x", "horse battery"),
        ("postgresql://db/x?user=u&password=horse-battery&sslmode=require", "horse-battery"),
        ("host=db user=u password='horse-battery' dbname=x", "horse-battery"),
        ("redis://:horse-battery@cache:6379/0", "horse-battery"),
    ],
)
def test_what_was_read_as_a_secret_is_never_printed(secret: str, hidden: str) -> None:
    assert Env({"NAME": secret}).secret("NAME") == secret
    assert hidden not in scrub.scrub(f"cannot use {secret!r}, which has {hidden}")


def test_an_address_without_a_password_may_be_printed() -> None:
    Env({"NAME": "redis://cache:6379/0"}).secret("NAME")
    assert scrub.scrub("no answer from redis://cache:6379/0") == "no answer from redis://cache:6379/0"


@pytest.mark.parametrize("secret", [KEY, TOKEN])
@pytest.mark.parametrize("text", ["Bearer {}", "/api/adr/{}", "/api/adr?key={}", "{}", 'refused: "{}"'])
def test_credentials_of_others_are_known_by_their_looks(secret: str, text: str) -> None:
    assert secret not in scrub.scrub(text.format(secret))


def test_ids_and_ordinary_words_stay() -> None:
    for text in (
        "0123456789abcdef" * 2,
        "/api/adr/ADR-001",
        "why did we choose Postgres?",
        "d670460b4b4aece5915caf5c68d12f560a9fe3e4",
    ):
        assert scrub.scrub(text) == text


def test_log_lines_are_scrubbed_wherever_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("test", "debug")
    scrub.hide("horse-battery")
    log = structlog.get_logger()
    try:
        raise RuntimeError(f"horse-battery and {KEY}")
    except RuntimeError as error:
        log.exception(
            "failed", reason=error, inner={"horse-battery": [f"Bearer {TOKEN}", ("horse-battery",)]}, path=KEY
        )
        logging.getLogger("driver").exception("bad horse-battery %s", KEY)
    printed = capsys.readouterr().out
    lines = [json.loads(line) for line in printed.splitlines()]
    assert [line["level"] for line in lines] == ["error", "error"]
    assert "RuntimeError" in lines[0]["exception"]
    for secret in ("horse-battery", KEY, TOKEN):
        assert secret not in printed


def test_a_crash_is_logged_and_scrubbed_too() -> None:
    program = (
        "import threading\n"
        "from context_common import logs\nfrom context_common.settings import Env\n"
        "logs.configure('test')\nsecret = Env({'X': 'horse-battery'}).secret('X')\n"
        "def fail(): raise ValueError(secret)\n"
        "thread = threading.Thread(target=fail); thread.start(); thread.join()\n"
        "class Ends:\n    def __del__(self): raise ValueError(secret)\n"
        "ends = Ends(); del ends\n"
        "raise ValueError(secret)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "horse-battery" not in ended.stdout + ended.stderr
    messages = [json.loads(line)["message"] for line in ended.stdout.splitlines()]
    assert messages == ["thread_crashed", "exception_ignored", "crashed"]
