"""Credentials at the gateway: keys are asked about, remembered and forgotten; what they allow is what can be done."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
import pytest_asyncio

from context.v1 import admin_pb2 as pb
from context.v1 import types_pb2 as types
from context_common import apikey
from context_common.apikey import ApiKey
from context_common.caller import ADMIN, EVERY, READ, SERVICE, WRITE
from context_common.errors import Unavailable
from context_gateway import keys
from context_gateway.denials import KEPT
from context_gateway.problems import BadCredential
from context_gateway.tokens import JwtSettings
from tests.support.fake_admin import provenance
from tests.support.gateway import Gateway, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECRET = "a secret of at least thirty-two characters"
ADR = {"title": "Use Postgres", "decision": "We use it."}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded() -> AsyncIterator[Gateway]:
    async with serve(auth_required=True, jwt=JwtSettings(SECRET)) as gateway:
        yield gateway


@pytest.fixture
def gateway(guarded: Gateway) -> Gateway:
    guarded.reset()
    return guarded


def bearer(credential: ApiKey | str, **more: str) -> dict[str, str]:
    """The headers that show a credential; `more` are other ones, with _ for -."""
    text = credential if isinstance(credential, str) else credential.text
    return {"authorization": f"Bearer {text}"} | {name.replace("_", "-"): value for name, value in more.items()}


def token(**claims: Any) -> str:
    whole = {"sub": "ada", "exp": int(time.time()) + 600, "namespaces": ["default"], "scope": READ} | claims
    return jwt.encode(whole, SECRET, "HS256")


async def status(gateway: Gateway, headers: dict[str, str], method: str = "GET", path: str = "/api/adr") -> int:
    body = ADR if method == "POST" else None
    return (await gateway.http.request(method, path, headers=headers, json=body)).status_code


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, "Bearer"),
        ({"authorization": ""}, 'Bearer error="invalid_token"'),
        ({"authorization": "Bearer"}, 'Bearer error="invalid_token"'),
        ({"authorization": "Basic YWRhOmFkYQ=="}, 'Bearer error="invalid_token"'),
        ({"authorization": "Bearer nonsense"}, 'Bearer error="invalid_token"'),
        ({"authorization": "Bearer ctx_nonsense"}, 'Bearer error="invalid_token"'),
        ({"authorization": f"Bearer {apikey.make().text[:-1]}"}, 'Bearer error="invalid_token"'),
    ],
)
async def test_without_a_good_credential_it_is_401_and_nobody_is_asked(
    gateway: Gateway, headers: dict[str, str], challenge: str
) -> None:
    for path in ("/api/adr", "/nowhere", "/metrics"):
        answer = await gateway.http.get(path, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, challenge)
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json()["error"], answer.json()["code"]) == ("Unauthorized", "unauthenticated")
    assert gateway.admin.asked(pb.AuthenticateKeyRequest) == gateway.knowledge.requests == []


async def test_two_credentials_are_none(gateway: Gateway) -> None:
    key = gateway.admin.make(READ)
    twice = [("authorization", f"Bearer {key.text}")] * 2
    assert (await gateway.http.get("/api/adr", headers=twice)).status_code == 401


async def test_what_shows_nothing_is_open_and_looks_at_no_credential(gateway: Gateway) -> None:
    gateway.admin.error = Unavailable()
    for path in ("/", "/docs", "/openapi.json", "/health", "/livez", "/readyz"):
        for headers in ({}, bearer(apikey.make()), bearer("nonsense")):
            assert (await gateway.http.get(path, headers=headers)).status_code in (200, 307)
    assert gateway.admin.asked(pb.AuthenticateKeyRequest) == []


async def test_a_key_is_a_caller_of_every_service(gateway: Gateway) -> None:
    key = gateway.admin.make(READ, WRITE, namespaces=("web",), read_namespaces=["billing"])
    answer = await gateway.http.post("/api/adr", json=ADR, headers=bearer(key, x_request_id="r-1"))
    assert answer.status_code == 201
    [asked] = gateway.admin.asked(pb.AuthenticateKeyRequest)
    assert asked.digest == key.digest
    assert (gateway.admin.callers[0].principal, set(gateway.admin.callers[0].scopes)) == ("service:gateway", {SERVICE})
    for who in (*gateway.knowledge.callers, *gateway.retrieval.callers):
        assert (who.principal, who.namespace, who.request_id) == (f"key:{key.id}", "web", "r-1")
        assert (who.address, set(who.scopes)) == ("127.0.0.1", {READ, WRITE})
        assert (set(who.readable), set(who.writable)) == ({"web", "billing"}, {"web"})


@pytest.mark.parametrize(
    ("scopes", "read", "write", "remove", "administer"),
    [
        ((READ,), 200, 403, 403, 403),
        ((WRITE,), 403, 201, 403, 403),
        ((READ, WRITE), 200, 201, 403, 403),
        ((ADMIN,), 200, 201, 404, 200),
        ((), 403, 403, 403, 403),
        (("service", "nonsense"), 403, 403, 403, 403),
    ],
)
async def test_scopes_allow_what_they_say(
    gateway: Gateway, scopes: tuple[str, ...], read: int, write: int, remove: int, administer: int
) -> None:
    for credential in (gateway.admin.make(*scopes), token(scope=" ".join(scopes))):
        headers = bearer(credential)
        assert await status(gateway, headers) == read
        assert await status(gateway, headers, "POST") == write
        assert await status(gateway, headers, "DELETE", "/api/adr/ADR-999") == remove
        assert await status(gateway, headers, path="/api/admin/keys") == administer


async def test_a_missing_scope_is_named(gateway: Gateway) -> None:
    answer = await gateway.http.post("/api/adr", json=ADR, headers=bearer(gateway.admin.make(READ)))
    assert answer.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{WRITE}"'
    assert WRITE in answer.json()["detail"]
    assert gateway.knowledge.requests == []


async def test_a_namespace_that_is_not_granted_is_not_there(gateway: Gateway) -> None:
    key = gateway.admin.make(ADMIN, namespaces=("web",), read_namespaces=["billing"])
    for path in ("/api/adr", "/api/admin/keys", "/metrics", "/api/context/recent"):
        assert await status(gateway, bearer(key, x_context_namespace="secret"), path=path) == 404
    assert await status(gateway, bearer(key, x_context_namespace="secret"), "POST") == 404
    assert await status(gateway, bearer(key, x_context_namespace="No Such")) == 400
    assert gateway.knowledge.requests == []


async def test_what_may_be_read_may_not_be_written(gateway: Gateway) -> None:
    key = gateway.admin.make(ADMIN, namespaces=("web",), read_namespaces=["billing"])
    billing = bearer(key, x_context_namespace="billing")
    assert await status(gateway, billing) == 200
    assert gateway.knowledge.callers[-1].scopes == {READ}
    assert await status(gateway, billing, "POST") == 403
    assert await status(gateway, billing, path="/api/admin/keys") == 403


@pytest.mark.parametrize(
    ("namespaces", "read", "home"),
    [
        (("web",), [], "web"),
        (("web",), ["billing"], "web"),
        ((), ["billing"], "billing"),
        ((EVERY,), [], "default"),
        (("web", "default"), [], "default"),
    ],
)
async def test_a_request_that_names_no_namespace_works_at_home(
    gateway: Gateway, namespaces: tuple[str, ...], read: list[str], home: str
) -> None:
    key = gateway.admin.make(READ, namespaces=namespaces, read_namespaces=read)
    assert await status(gateway, bearer(key)) == 200
    assert gateway.knowledge.callers[-1].namespace == home


async def test_every_namespace_is_every_one(gateway: Gateway) -> None:
    key = gateway.admin.make(READ, namespaces=(EVERY,))
    assert await status(gateway, bearer(key, x_context_namespace="anything")) == 200


async def test_who_has_several_namespaces_is_told_to_name_one(gateway: Gateway) -> None:
    several = bearer(gateway.admin.make(READ, namespaces=("a", "b")))
    answer = await gateway.http.get("/api/adr", headers=several)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.json()["details"] == {"X-Context-Namespace": ["must name one of the credential's namespaces"]}
    other = await gateway.http.get("/api/adr", headers=several | {"X-Context-Namespace": "c"})
    assert (other.status_code, other.json()["details"]) == (404, {})


@pytest.mark.parametrize("name", ["human", "agent", "event"])
async def test_the_provenance_of_what_is_written_is_the_credentials(gateway: Gateway, name: str) -> None:
    key = gateway.admin.make(WRITE, provenance=provenance(name))
    await gateway.http.post("/api/adr", json=ADR, headers=bearer(key))
    assert gateway.knowledge.requests[-1].item.provenance == provenance(name)
    line = json.dumps({"type": "adr", **ADR}).encode()
    headers = bearer(key, content_type="application/x-ndjson")
    assert (await gateway.http.post("/api/bulk", content=line, headers=headers)).status_code == 200
    expected = types.PROVENANCE_IMPORT if name == "human" else provenance(name)
    assert [item.provenance for item in gateway.knowledge.requests[-1].items] == [expected]


async def test_a_key_is_asked_about_once_for_many_who_show_it_and_not_again_at_once(gateway: Gateway) -> None:
    key, gateway.admin.pause = gateway.admin.make(READ), 0.1
    assert set(await asyncio.gather(*(status(gateway, bearer(key)) for _ in range(20)))) == {200}
    assert await status(gateway, bearer(key)) == 200
    assert len(gateway.admin.asked(pb.AuthenticateKeyRequest)) == 1


async def test_a_key_that_is_none_is_remembered_as_well(gateway: Gateway) -> None:
    key = apikey.make()
    assert [await status(gateway, bearer(key)) for _ in range(3)] == [401] * 3
    assert len(gateway.admin.asked(pb.AuthenticateKeyRequest)) == 1


async def test_a_revoked_key_is_refused_once_it_is_asked_about_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = gateway.admin.make(READ)
    assert await status(gateway, bearer(key)) == 200
    gateway.admin.keys.clear()
    assert await status(gateway, bearer(key)) == 200
    monkeypatch.setattr(keys, "FRESH", 0.0)
    assert await status(gateway, bearer(key)) == 401


async def test_who_may_only_write_is_not_told_what_others_wrote(gateway: Gateway) -> None:
    writer, both = gateway.admin.make(WRITE), gateway.admin.make(READ, WRITE)
    made = (await gateway.http.post("/api/adr", json=ADR, headers=bearer(both))).json()
    told = {}
    for key in (writer, both):
        answer = await gateway.http.patch(f"/api/adr/{made['id']}", json={}, headers=bearer(key))
        assert answer.status_code == 200
        told[key.id] = answer.json()
    assert told[both.id]["decision"] == ADR["decision"]
    assert told[writer.id]["id"] == made["id"]
    assert not {"title", "decision", "author"} & told[writer.id].keys()


async def test_a_stream_ends_with_the_key_that_opened_it(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    key = gateway.admin.make(WRITE)
    recorded = asyncio.Event()

    async def lines() -> AsyncIterator[bytes]:
        yield json.dumps({"type": "adr", **ADR}).encode() + b"\n"
        async with asyncio.timeout(10):
            while not gateway.knowledge.requests:
                await asyncio.sleep(0.01)
        gateway.admin.keys.clear()
        monkeypatch.setattr(keys, "FRESH", 0.0)
        recorded.set()
        yield json.dumps({"type": "adr", **ADR}).encode() + b"\n"

    headers = bearer(key, content_type="application/x-ndjson")
    answer = await gateway.http.post("/api/bulk", content=lines(), headers=headers)
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert recorded.is_set()
    assert [(one["status"], one.get("code")) for one in told] == [("created", None), ("error", "unauthenticated")]


async def test_a_stranger_makes_no_more_kinds_of_denials_than_there_are(gateway: Gateway) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        stranger = bearer("nonsense", x_context_namespace=f"junk-{method.lower()}")
        assert await status(gateway, stranger, method, "/nowhere") == 401
    expected = ("", "(none)", 401, "unauthenticated")

    def told() -> list[pb.Denial]:
        return [one for one in gateway.admin.denials if one.operation == "(none)"]

    async with asyncio.timeout(10):
        while sum(one.count for one in told()) < 5:
            await asyncio.sleep(0.02)
    assert {(one.namespace, one.operation, one.status, one.reason) for one in told()} == {expected}


async def test_a_key_that_ended_meanwhile_is_refused_though_it_is_remembered(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = gateway.admin.make(READ)
    ends = int(time.time()) + 600
    gateway.admin.keys[key.digest].expires_at.FromSeconds(ends)
    assert await status(gateway, bearer(key)) == 200
    monkeypatch.setattr(keys, "time", lambda: float(ends))
    assert await status(gateway, bearer(key)) == 401
    assert len(gateway.admin.asked(pb.AuthenticateKeyRequest)) == 1


async def test_while_knowledge_is_away_known_keys_count_for_a_while_and_others_cannot_be_checked(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, other = gateway.admin.make(READ), gateway.admin.make(READ)
    assert await status(gateway, bearer(key), path="/api/context/recent") == 200
    gateway.admin.error = Unavailable()
    monkeypatch.setattr(keys, "FRESH", 0.0)
    assert await status(gateway, bearer(key), path="/api/context/recent") == 200
    answer = await gateway.http.get("/api/context/recent", headers=bearer(other))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    monkeypatch.setattr(keys, "STALE", 0.0)
    assert await status(gateway, bearer(key), path="/api/context/recent") == 503


async def test_a_known_key_does_not_wait_for_a_knowledge_that_stands_still(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = gateway.admin.make(READ)
    assert await status(gateway, bearer(key), path="/api/context/recent") == 200
    gateway.admin.pause = 60
    monkeypatch.setattr(keys, "FRESH", 0.0)
    monkeypatch.setattr(keys, "HURRY", 0.01)
    monkeypatch.setattr(keys, "ASK", 60.0)
    async with asyncio.timeout(30):
        for _ in range(3):
            assert await status(gateway, bearer(key), path="/api/context/recent") == 200
    assert len(gateway.admin.asked(pb.AuthenticateKeyRequest)) == 2


async def test_a_key_that_was_none_is_not_let_in_because_knowledge_is_away(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = apikey.make()
    assert await status(gateway, bearer(key)) == 401
    gateway.admin.error = Unavailable()
    monkeypatch.setattr(keys, "FRESH", 0.0)
    assert await status(gateway, bearer(key)) == 503


async def test_what_is_remembered_is_bounded_and_made_up_keys_push_out_none(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "REMEMBERED", 3)
    key = gateway.admin.make(READ)
    assert await status(gateway, bearer(key)) == 200
    memory = keys.Keys(gateway.app.state.clients, lambda _: False)
    await memory.credential(key, "r", "a")
    for _ in range(10):
        with pytest.raises(BadCredential):
            await memory.credential(apikey.make(), "r", "a")
    before = len(gateway.admin.asked(pb.AuthenticateKeyRequest))
    await memory.credential(key, "r", "a")
    assert len(gateway.admin.asked(pb.AuthenticateKeyRequest)) == before
    assert [len(kept) for kept in (memory._valid, memory._invalid)] == [1, 3]


async def test_made_up_keys_do_not_keep_knowledge_busy(gateway: Gateway) -> None:
    gateway.admin.pause = 0.3
    memory = keys.Keys(gateway.app.state.clients, lambda _: False)
    asked = (memory.credential(apikey.make(), "r", "a") for _ in range(300))
    results = await asyncio.gather(*asked, return_exceptions=True)
    kinds = [type(result) for result in results]
    assert (kinds.count(BadCredential), kinds.count(Unavailable)) == (keys.FLYING, 300 - keys.FLYING)


async def test_keys_are_made_shown_once_listed_and_ended(gateway: Gateway) -> None:
    root = bearer(gateway.admin.make(ADMIN))
    body = {"name": "ci", "scopes": [READ], "namespaces": ["default"], "provenance": "agent", "expires_in": 3600}
    made = await gateway.http.post("/api/admin/keys", json=body, headers=root)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    secret, key = made.json()["key"], made.json()
    assert apikey.read(secret)
    assert made.headers["location"] == f"/api/admin/keys/{key['id']}"
    assert (key["status"], key["scopes"], key["provenance"]) == ("active", [READ], "agent")
    sent = gateway.admin.asked(pb.CreateKeyRequest)[-1]
    assert 3590 < sent.expires_at.ToMilliseconds() / 1000 - time.time() <= 3600
    shown = await gateway.http.get(f"/api/admin/keys/{key['id']}", headers=root)
    assert shown.json() == {name: value for name, value in key.items() if name != "key"}
    assert secret not in (await gateway.http.get("/api/admin/keys", headers=root)).text
    assert await status(gateway, bearer(secret)) == 200
    ended = await gateway.http.delete(f"/api/admin/keys/{key['id']}", headers=root)
    assert ended.json()["status"] == "revoked"
    assert await status(gateway, bearer(secret)) == 401  # here at once
    for method in ("GET", "DELETE"):
        assert await status(gateway, root, method, f"/api/admin/keys/{key['id']}") == 404


async def test_a_rotated_key_gives_way_to_the_new_one(gateway: Gateway) -> None:
    root, old = bearer(gateway.admin.make(ADMIN)), gateway.admin.make(READ)
    assert await status(gateway, bearer(old)) == 200
    made = await gateway.http.post(f"/api/admin/keys/{old.id}/rotate", json={"overlap_seconds": 60}, headers=root)
    assert made.status_code == 201
    assert gateway.admin.asked(pb.RotateKeyRequest)[-1].overlap.seconds == 60
    assert made.json()["replaced"]["id"] == old.id
    assert await status(gateway, bearer(made.json()["key"])) == 200
    assert await status(gateway, bearer(old)) == 401


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": None}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes[0]"),
        ({"namespace": "web"}, "namespace"),
        ({"provenance": "import"}, "provenance"),
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": 60, "expires_at": "2036-01-31T12:00:00Z"}, "expires_in"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"key": "ctx_mine"}, "key"),
    ],
    ids=str,
)
async def test_a_key_that_is_wrong_is_refused_by_field(gateway: Gateway, changed: dict[str, Any], field: str) -> None:
    body = {"name": "ci", "scopes": [READ], "namespaces": ["default"]} | changed
    answer = await gateway.http.post("/api/admin/keys", json=body, headers=bearer(gateway.admin.make(ADMIN)))
    assert (answer.status_code, list(answer.json()["details"])) == (422, [field])
    assert gateway.admin.asked(pb.CreateKeyRequest) == []


async def test_the_audit_trail_is_asked_by_its_filters(gateway: Gateway) -> None:
    query = "principal=user:ada&action=update&item_id=ADR-001&request_id=r&denied=true&limit=5&cursor=c"
    days = "from=2026-01-31&to=2026-02-01"
    answer = await gateway.http.get(f"/api/admin/audit?{query}&{days}", headers=bearer(gateway.admin.make(ADMIN)))
    sent = gateway.admin.asked(pb.ListAuditRequest)[-1]
    assert (sent.principal, sent.action, sent.item_id, sent.request_id) == ("user:ada", "update", "ADR-001", "r")
    assert (sent.denied, sent.page_size, sent.page_token) == (True, 5, "c")
    assert (sent.since.ToJsonString(), sent.until.ToJsonString()) == ("2026-01-31T00:00:00Z", "2026-02-02T00:00:00Z")
    assert answer.json()["next_cursor"] == "next"
    assert answer.json()["items"][0]["principal"] == "user:ada"


@pytest.mark.parametrize("query", ["from=x", "to=2026-13-01", "to=9999-12-31", "denied=perhaps", "limit=0", "x=1"])
async def test_a_question_to_the_audit_trail_that_is_wrong_is_400(gateway: Gateway, query: str) -> None:
    answer = await gateway.http.get(f"/api/admin/audit?{query}", headers=bearer(gateway.admin.make(ADMIN)))
    assert answer.status_code == 400, answer.text
    assert list(answer.json()["details"]) == [query.partition("=")[0]]


async def test_denied_calls_are_told_in_batches_with_those_alike_as_one(gateway: Gateway) -> None:
    reader = gateway.admin.make(READ)
    for _ in range(7):
        assert await status(gateway, {}, path="/api/snapshot") == 401
        assert await status(gateway, bearer(reader), "POST") == 403
    assert await status(gateway, bearer(reader, x_context_namespace="secret")) == 404
    assert await status(gateway, bearer(reader), path="/api/adr/ADR-999") == 404  # nothing is stored there: not denied
    expected = {
        ("", "GET /api/snapshot", 401, "unauthenticated", ""): 7,
        (f"key:{reader.id}", "POST /api/adr", 403, "denied", ""): 7,
        (f"key:{reader.id}", "GET /api/adr", 404, "not_found", "secret"): 1,
    }

    def mine() -> list[pb.Denial]:
        told = gateway.admin.denials
        return [one for one in told if one.operation == "GET /api/snapshot" or one.principal == f"key:{reader.id}"]

    def told() -> dict[tuple[str, str, int, str, str], int]:
        counts: Counter[tuple[str, str, int, str, str]] = Counter()
        for one in mine():
            counts[one.principal, one.operation, one.status, one.reason, one.namespace] += one.count
        return dict(counts)

    async with asyncio.timeout(10):
        while sum(told().values()) < 15:
            await asyncio.sleep(0.02)
    assert told() == expected
    assert len(mine()) < 15
    assert {denial.address for denial in gateway.admin.denials} == {"127.0.0.1"}
    assert all(denial.request_id and denial.at.seconds for denial in gateway.admin.denials)


async def test_denials_wait_for_knowledge_and_are_counted_where_there_are_too_many(gateway: Gateway) -> None:
    gateway.admin.error = Unavailable()
    lost = await metric(gateway, "denials_lost_total")
    denials = gateway.app.state.gate.denials
    for number in range(KEPT + 10):
        scope = {"type": "http", "method": "GET", "headers": [], "state": {"operation": f"GET /{number}"}}
        denials.note(scope, "10.0.0.1", BadCredential())
    assert await metric(gateway, "denials_lost_total") >= lost + 10
    gateway.admin.error = None
    async with asyncio.timeout(20):
        while sum(denial.count for denial in gateway.admin.denials) < KEPT:
            await asyncio.sleep(0.05)


async def test_the_gateways_metrics_are_an_administrators(gateway: Gateway) -> None:
    assert await status(gateway, {}, path="/metrics") == 401
    assert await status(gateway, bearer(gateway.admin.make(READ, WRITE)), path="/metrics") == 403
    assert await status(gateway, bearer(gateway.admin.make(ADMIN)), path="/metrics") == 200


async def test_where_none_is_needed_a_credential_counts_all_the_same() -> None:
    async with serve() as free:
        reader = free.admin.make(READ)
        assert await status(free, {}, "POST") == 201
        assert free.knowledge.callers[-1].scopes == {ADMIN}
        assert await status(free, bearer(reader), "POST") == 403
        assert await status(free, bearer(apikey.make())) == 401
        assert "Development mode" in (await free.http.get("/docs")).text


async def test_with_credentials_the_page_says_nothing_of_development(gateway: Gateway) -> None:
    assert "Development mode" not in (await gateway.http.get("/docs")).text


async def test_the_document_says_what_each_operation_takes(gateway: Gateway) -> None:
    document = (await gateway.http.get("/openapi.json")).json()
    assert document["paths"]["/api/adr"]["post"]["security"] == [{"credential": [WRITE]}]
    assert document["paths"]["/livez"]["get"]["security"] == []
    assert document["components"]["securitySchemes"]["credential"]["scheme"] == "bearer"
    assert {"401", "403"} <= document["paths"]["/api/adr"]["get"]["responses"].keys()


async def metric(gateway: Gateway, name: str) -> float:
    text = (await gateway.http.get("/metrics", headers=bearer(token(scope=ADMIN)))).text
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} "))
