"""Who gets in: every route with every kind of credential, over the real services."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from context_common import apikey
from context_gateway.access import OPERATIONS
from tests.support.guarded import ADMIN, READ, WRITE, Guarded, first_key, token

pytestmark = pytest.mark.timeout(600)
# By hand, and not from the table, so that a slip there shows here.
OPEN = {"GET /", "GET /docs", "GET /openapi.json", "GET /health", "GET /livez", "GET /readyz"}
ASKING = {"POST /api/context/query", "POST /api/search", "POST /v1/embeddings", "POST /api/feedback"}
NO_SUCH_NAMESPACE = "There is no such namespace."
BODIES: Mapping[str, Any] = {
    "POST /api/adr": {"title": "Let in", "decision": "By the matrix."},
    "POST /api/failure": {"title": "Let in", "root_cause": "By the matrix."},
    "POST /api/meeting": {"title": "Let in", "date": "2026-01-31", "decisions": [{"decision": "By the matrix."}]},
    "POST /api/context/snapshot": {"commit_hash": "abc", "commit_message": "Let in", "author": "Ada"},
    "POST /api/graph/relationships": {"from": "ADR-001", "to": "ADR-002", "type": "related_to"},
    "DELETE /api/graph/relationships": {"from": "ADR-001", "to": "ADR-002", "type": "related_to"},
    "POST /api/context/query": {"query": "what is let in?"},
    "POST /api/search": {"query": "let in"},
    "POST /v1/embeddings": {"input": "let in"},
    "POST /api/feedback": {"missing_context": "who was let in"},
    "POST /api/admin/keys": {"name": "matrix", "scopes": [READ], "namespaces": ["web"]},
}


@dataclass(frozen=True)
class Kind:
    """A kind of credential: what it shows, and what it may do in the namespace `web`.

    `refused`: how everything that is not open is answered; 0 where it depends on the scopes.
    """

    name: str
    credential: str
    refused: int = 0
    scopes: frozenset[str] = field(default_factory=frozenset)

    def expected(self, name: str) -> int:
        """The refusal of an operation; 0 where it is let in."""
        operation = OPERATIONS[name]
        if operation.open:
            return 0
        if self.refused:
            return self.refused
        return 0 if {operation.scope, ADMIN} & self.scopes else 403


def scope_by_hand(name: str) -> str:
    """What an operation should take; empty for what is open."""
    method, path = name.split(" ")
    if name in OPEN:
        return ""
    if path.startswith("/api/admin/") or path == "/metrics" or (method == "DELETE" and path.endswith("/{id}")):
        return ADMIN
    return READ if method == "GET" or name in ASKING else WRITE


def kinds(guarded: Guarded) -> list[Kind]:
    """One credential of each kind."""
    ended = guarded.key(ADMIN, expires_in=1)["key"]
    revoked = guarded.key(ADMIN)
    guarded.request("DELETE", f"/api/admin/keys/{revoked['id']}", guarded.root)
    good = guarded.key(ADMIN)["key"]
    while guarded.request("GET", "/api/adr", ended, namespace="web").status_code != 401:
        time.sleep(0.1)
    reads_only = guarded.key(ADMIN, namespaces=["other"], read_namespaces=["web"])["key"]
    every = frozenset({READ, WRITE, ADMIN})
    return [
        Kind("none", "", 401),
        Kind("malformed", f"{good[:-1]}{'a' if good[-1] != 'a' else 'b'}", 401),
        Kind("unknown", apikey.make().text, 401),
        Kind("expired", ended, 401),
        Kind("revoked", revoked["key"], 401),
        Kind("other namespace", guarded.key(ADMIN, namespaces=["other"])["key"], 404),
        Kind("read", guarded.key(READ)["key"], scopes=frozenset({READ})),
        Kind("write", guarded.key(WRITE)["key"], scopes=frozenset({WRITE})),
        Kind("admin", good, scopes=every),
        Kind("admin elsewhere, who reads here", reads_only, scopes=frozenset({READ})),
        Kind("JWT", token(), scopes=frozenset({READ, WRITE})),
        Kind("JWT of another namespace", token(namespaces=["other"], scope=ADMIN), 404),
        Kind("JWT expired", token(exp=int(time.time()) - 60, scope=ADMIN), 401),
        Kind("JWT forged", token("another secret of thirty-two characters", scope=ADMIN), 401),
    ]


def send(guarded: Guarded, name: str, credential: str) -> tuple[int, Any]:
    """The status and the body that an operation is answered with, in the namespace `web`."""
    method, template = name.split(" ")
    path = template.replace("{id}", "ADR-999" if "/adr/" in template else "FAIL-999").replace("{tag}", "database")
    more: dict[str, Any] = {}
    if name == "POST /api/bulk":
        more = {"content": b"", "headers": {"content-type": "application/x-ndjson"}}
    elif method != "GET":
        more = {"json": BODIES.get(name, {})}
    answer = guarded.request(method, path, credential, namespace="web", **more)
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    return answer.status_code, answer.json() if is_problem else {}


def right(expected: int, status: int, problem: Mapping[str, Any]) -> bool:
    """Whether an answer is what the credential makes of it. What is let in may well be wrong in itself."""
    if expected == 404:
        return status == 404 and problem["detail"] == NO_SUCH_NAMESPACE
    if expected:
        return status == expected
    return status not in (401, 403, 405) and status < 500 and problem.get("detail") != NO_SUCH_NAMESPACE


def test_every_route_with_every_kind_of_credential(
    guarded: Guarded, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    cases, wrong, refused = 0, [], 0
    for kind in kinds(guarded):
        for name in OPERATIONS:
            expected = kind.expected(name)
            status, problem = send(guarded, name, kind.credential)
            cases, refused = cases + 1, refused + (expected != 0)
            if not right(expected, status, problem):
                wrong.append(f"{kind.name}: {name}: {status}, expected {expected or 'to be let in'}: {problem}")
    record_property("cases", cases)
    with capsys.disabled():
        print(f"\n{cases} cases: {len(OPERATIONS)} operations, {refused} to be refused, {cases - refused} to be let in")
    assert not wrong, "\n".join(wrong)


def test_the_table_says_what_a_person_would() -> None:
    assert {name: operation.scope for name, operation in OPERATIONS.items()} == {
        name: scope_by_hand(name) for name in OPERATIONS
    }


def test_nothing_is_written_by_who_is_refused(guarded: Guarded) -> None:
    def stored() -> list[Any]:
        lists = ("adr", "failure", "meeting", "snapshot", "admin/keys")
        answers = [guarded.request("GET", f"/api/{name}", guarded.root, namespace="web").json() for name in lists]
        return [[entry["id"] for entry in answer["items"]] for answer in answers]

    shown = kinds(guarded)
    before = stored()
    for kind in shown:
        for name in BODIES:
            if kind.expected(name):
                assert send(guarded, name, kind.credential)[0] == kind.expected(name)
    assert stored() == before


def test_a_query_reads_only_namespaces_that_the_credential_reads(guarded: Guarded) -> None:
    guarded.request("POST", "/api/adr", guarded.root, namespace="shop", json=BODIES["POST /api/adr"])
    both = guarded.key(READ, read_namespaces=["shop"])["key"]
    one = guarded.key(READ)["key"]
    for path in ("/api/search", "/api/context/query"):
        body = {"query": "let in", "namespaces": ["web", "shop"]}
        assert guarded.request("POST", path, both, json=body).status_code == 200
        refused = guarded.request("POST", path, one, json=body)
        unknown = guarded.request("POST", path, one, json=body | {"namespaces": ["web", "nowhere"]})
        assert refused.status_code == unknown.status_code == 404
        assert "shop" not in refused.text.replace("nowhere", "")


def test_nobody_hands_on_more_than_they_hold(guarded: Guarded) -> None:
    web = guarded.key(ADMIN, read_namespaces=["billing"])["key"]
    for more in ({"namespaces": ["billing"]}, {"namespaces": ["*"]}, {"read_namespaces": ["*"]}):
        body = {"name": "more", "scopes": [READ], "namespaces": ["web"]} | more
        assert guarded.request("POST", "/api/admin/keys", web, json=body).status_code == 403, more
    listed = guarded.request("GET", "/api/admin/keys", web, namespace="web").json()["items"]
    assert {name for key in listed for name in key["namespaces"]} == {"web"}


def test_only_who_administers_all_namespaces_rebuilds_all(guarded: Guarded) -> None:
    web, body = guarded.key(ADMIN, read_namespaces=["*"])["key"], {"every_namespace": True}
    assert guarded.request("POST", "/api/admin/reindex", web, namespace="web", json=body).status_code == 403
    assert guarded.request("POST", "/api/admin/reindex", web, namespace="web").status_code == 202
    assert guarded.request("POST", "/api/admin/reindex", guarded.root, json=body).status_code == 202


def test_a_revoked_key_is_refused_by_another_gateway_too(guarded: Guarded) -> None:
    key = guarded.key(READ)
    with guarded.second_gateway() as url:
        assert guarded.request("GET", "/api/adr", key["key"], url=url).status_code == 200
        guarded.request("DELETE", f"/api/admin/keys/{key['id']}", guarded.root)
        assert guarded.request("GET", "/api/adr", key["key"]).status_code == 401
        guarded.stack.wait_until(
            lambda: guarded.request("GET", "/api/adr", key["key"], url=url).status_code == 401, seconds=15
        )


def test_rotation_leaves_both_for_the_overlap_and_none_without_one(guarded: Guarded) -> None:
    for overlap, status in ((600, 200), (0, 401)):
        old = guarded.key(READ)
        path = f"/api/admin/keys/{old['id']}/rotate"
        new = guarded.request("POST", path, guarded.root, json={"overlap_seconds": overlap}).json()
        assert guarded.request("GET", "/api/adr", new["key"]).status_code == 200
        assert guarded.request("GET", "/api/adr", old["key"]).status_code == status


def test_what_was_refused_stands_in_the_audit_trail(guarded: Guarded) -> None:
    reader = guarded.key(READ, namespaces=["trail"])
    body = BODIES["POST /api/adr"]
    assert guarded.request("POST", "/api/adr", reader["key"], namespace="trail", json=body).status_code == 403
    query = f"/api/admin/audit?denied=true&principal=key:{reader['id']}"

    def told() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = guarded.request("GET", query, guarded.root, namespace="trail").json()["items"]
        return found

    guarded.stack.wait_until(told)
    [line] = told()
    assert (line["action"], line["address"]) == ("denied", "127.0.0.1")
    assert line["detail"].startswith("POST /api/adr 403")


def test_a_known_key_reads_on_while_knowledge_is_away(guarded: Guarded) -> None:
    key = guarded.key(READ)["key"]
    assert guarded.request("GET", "/api/context/recent", key).status_code == 200
    with guarded.stack.without("knowledge"):
        for path in ("/api/context/recent", "/api/context/domain/database"):
            assert guarded.request("GET", path, key).status_code == 200
        unknown = guarded.request("GET", "/api/context/recent", apikey.make().text)
        assert (unknown.status_code, "retry-after" in unknown.headers) == (503, True)
        assert guarded.request("GET", "/api/context/recent", token()).status_code == 200


def test_the_first_key_is_made_once(guarded: Guarded) -> None:
    assert guarded.root.startswith("ctx_")
    assert first_key(guarded.stack) == ""
