"""contextctl keys and audit: a key is printed once and alone, and nothing is sent twice that makes one."""

import json
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner, Result

from context_client import __main__
from context_client.cli.app import Session, app
from tests.unit.client.far_end import Engine, answering, losing, problem

assert __main__.COMMANDS  # importing it makes the commands known

SECRET = "ctx_4k9x0a7p_made-up"
KEY = {
    "id": "4k9x0a7p", "name": "ci", "prefix": "ctx_4k9x0a7p", "status": "active", "scopes": ["context:read"],
    "namespaces": ["web"], "read_namespaces": ["billing"], "provenance": "agent", "created_at": "2026-01-31T12:00:00Z",
    "created_by": "user:ada", "expires_at": None, "last_used_at": "2026-02-01T08:30:12Z", "revoked_at": None,
    "replaced_by": None,
}  # fmt: skip
LINE = {
    "entry": 7, "at": "2026-01-31T12:00:00Z", "principal": "key:4k9x0a7p", "action": "denied", "item_id": None,
    "version": None, "detail": "GET /api/adr 403 denied ×3", "address": "10.0.0.9", "request_id": "r-1",
}  # fmt: skip


def run(engine: Engine, *arguments: str, environ: dict[str, str] | None = None) -> Result:
    session = Session(environ or {}, transport=engine.transport)
    return CliRunner().invoke(app, list(arguments), obj=session, prog_name="contextctl")


def answered(*contents: dict[str, Any]) -> Engine:
    engine = Engine()
    engine.before = [answering(httpx2.Response(200, json=content)) for content in contents]
    return engine


def sent(engine: Engine) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(engine.requests[-1].content)
    return content


def test_a_key_is_printed_alone_so_that_a_variable_can_hold_it() -> None:
    engine = answered({**KEY, "key": SECRET})
    result = run(
        engine, "keys", "create", "ci", "--scope", "knowledge:write", "--grant", "web", "--read", "billing",
        "--provenance", "agent", "--expires-in", "90d",
    )  # fmt: skip
    assert (result.exit_code, result.stdout) == (0, f"{SECRET}\n")
    assert SECRET not in result.stderr
    assert "not shown again" in result.stderr
    assert sent(engine) == {
        "name": "ci", "scopes": ["knowledge:write"], "namespaces": ["web"], "read_namespaces": ["billing"],
        "provenance": "agent", "expires_in": 90 * 24 * 3600,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "environ", "namespace"),
    [((), {}, "default"), (("-n", "web"), {}, "web"), ((), {"CONTEXT_NAMESPACE": "shop"}, "shop")],
)
def test_a_key_is_for_the_namespace_at_hand(
    arguments: tuple[str, ...], environ: dict[str, str], namespace: str
) -> None:
    engine = answered({**KEY, "key": SECRET})
    assert run(engine, "keys", "create", "ci", *arguments, environ=environ).exit_code == 0
    assert sent(engine) == {
        "name": "ci", "scopes": ["context:read"], "namespaces": [namespace], "read_namespaces": [],
        "provenance": "human",
    }  # fmt: skip


@pytest.mark.parametrize("arguments", [("create", "ci"), ("rotate", "4k9x0a7p")])
def test_what_makes_a_key_is_not_sent_twice(arguments: tuple[str, ...]) -> None:
    engine = Engine()
    engine.before = [losing, answering(httpx2.Response(201, json={**KEY, "key": SECRET}))]
    result = run(engine, "keys", *arguments)
    assert (result.exit_code, len(engine.requests)) == (5, 1)


def test_rotation_says_when_the_old_one_ends() -> None:
    engine = answered({**KEY, "key": SECRET, "replaced": {**KEY, "id": "old", "expires_at": "2026-02-01T09:30:00Z"}})
    result = run(engine, "keys", "rotate", "old", "--overlap", "2h")
    assert result.stdout == f"{SECRET}\n"
    assert "old ends 2026-02-01T09:30:00Z" in result.stderr
    assert (engine.requests[-1].url.path, sent(engine)) == ("/api/admin/keys/old/rotate", {"overlap_seconds": 7200})


def test_all_keys_are_listed_with_what_they_may_do() -> None:
    other = {**KEY, "id": "bbbbbbbb", "status": "revoked", "expires_at": "2026-02-01T09:30:12Z"}
    engine = answered({"items": [KEY], "next_cursor": "c1"}, {"items": [other], "next_cursor": None})
    result = run(engine, "keys", "list", "--ended")
    words = [
        "4k9x0a7p",
        "bbbbbbbb",
        "context:read",
        "as agent",
        "billing (reads)",
        "revoked",
        "2026-02-01 08:30",
        "2026-02-01 09:30",
    ]
    for word in (*words, "never"):
        assert word in result.stdout
    assert [dict(request.url.params) for request in engine.requests] == [
        {"include_ended": "true"},
        {"include_ended": "true", "cursor": "c1"},
    ]


def test_a_key_is_revoked() -> None:
    engine = answered({**KEY, "status": "revoked"})
    result = run(engine, "keys", "revoke", "4k9x0a7p")
    assert "revoked" in result.stdout
    assert (engine.requests[-1].method, engine.requests[-1].url.path) == ("DELETE", "/api/admin/keys/4k9x0a7p")


def test_the_audit_trail_is_a_table() -> None:
    engine = answered({"items": [LINE], "next_cursor": "next"})
    result = run(engine, "audit", "--denied", "--principal", "key:4k9x0a7p", "--from", "2026-01-31", "--limit", "1")
    for word in ("key:4k9x0a7p", "denied", "10.0.0.9", "×3", "--cursor next"):
        assert word in result.stdout
    assert dict(engine.requests[-1].url.params) == {
        "denied": "true", "principal": "key:4k9x0a7p", "from": "2026-01-31", "limit": "1",
    }  # fmt: skip


def test_json_is_the_answer_as_it_came() -> None:
    engine = answered({"items": [LINE], "next_cursor": None})
    assert json.loads(run(engine, "audit", "--json").stdout) == {"items": [LINE], "next_cursor": None}


@pytest.mark.parametrize("time", ["", "90", "d", "1y", "-1d", "1.5h", "9999999d"])
def test_a_time_that_is_none_is_wrong_usage(time: str) -> None:
    result = run(Engine(), "keys", "rotate", "x", "--overlap", time)
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_missing_scope_is_6() -> None:
    engine = Engine()
    engine.before = [answering(problem(403, "Not allowed", "the credential lacks the scope admin"))]
    result = run(engine, "keys", "list")
    assert result.exit_code == 6
    assert "admin" in result.stderr
