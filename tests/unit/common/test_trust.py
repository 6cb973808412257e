"""What a process needs before it trusts anybody, and who may call what."""

import pytest
from google.protobuf.descriptor import ServiceDescriptor

from context.v1 import admin_pb2, embedding_pb2, knowledge_pb2, permission_pb2, retrieval_pb2
from context_common.caller import ADMIN, READ, SERVICE, WRITE, Caller
from context_common.errors import Denied, Unauthenticated
from context_common.permissions import Permission, of_service
from context_common.settings import Env, SettingsError
from context_common.trust import Trust
from tests.support.trust import SECRET, admin, trust

FILES = (admin_pb2, embedding_pb2, knowledge_pb2, retrieval_pb2)
SERVICES: list[ServiceDescriptor] = [service for file in FILES for service in file.DESCRIPTOR.services_by_name.values()]
METHOD = "/context.v1.KnowledgeService/GetItem"


def complaint(listen: str = "127.0.0.1:1", **environ: str) -> str:
    """What is wrong with an environment; empty where a process may start."""
    env = Env(environ)
    Trust.read(env, "knowledge", listen)
    try:
        env.complain()
    except SettingsError as error:
        return str(error)
    return ""


def test_prod_needs_a_strong_secret_and_says_which_is_weak() -> None:
    assert "SERVICE_SECRET or SECRET_KEY_BASE" in complaint(APP_ENV="prod")
    assert "SERVICE_SECRET is too weak: it has 5 characters" in complaint(APP_ENV="prod", SERVICE_SECRET="short")
    weak = complaint(APP_ENV="prod", SECRET_KEY_BASE="ab" * 32)
    assert "SECRET_KEY_BASE is too weak: it has 2 different characters" in weak
    assert "abab" not in weak
    assert complaint(APP_ENV="prod", SECRET_KEY_BASE=SECRET) == ""
    assert "SERVICE_SECRET is too weak: it has 5" in complaint(
        APP_ENV="prod", SERVICE_SECRET="short", SECRET_KEY_BASE=SECRET
    )


def test_of_two_secrets_the_first_signs_and_both_hold() -> None:
    def read(secret: str) -> Trust:
        return Trust.read(Env({"SERVICE_SECRET": secret}), "knowledge")

    old, new = SECRET, SECRET[::-1]
    signed = dict(read(old).metadata(admin(), "knowledge", METHOD))
    assert read(f"{old} {new}").caller(signed, METHOD) == read(f"{new}\n{old}").caller(signed, METHOD) == admin()
    assert dict(read(f"{old} {new}").metadata(admin(), "knowledge", METHOD)) == signed
    with pytest.raises(Unauthenticated):
        read(new).caller(signed, METHOD)
    assert "too weak" in complaint(APP_ENV="prod", SERVICE_SECRET=f"{old} short")


@pytest.mark.parametrize("listen", ["0.0.0.0:1", "[::]:1", "10.1.2.3:1", "knowledge:1"])
def test_other_machines_are_let_near_with_a_strong_secret_only(listen: str) -> None:
    assert f"LISTEN={listen}" in complaint(listen)
    assert "SERVICE_SECRET is too weak" in complaint(listen, SERVICE_SECRET="short")
    assert complaint(listen, SERVICE_SECRET=SECRET) == ""


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "[::1]:1", "localhost:1", ""])
def test_development_on_one_machine_needs_none(listen: str) -> None:
    assert complaint(listen) == ""


def test_a_key_makes_plain_metadata_worthless() -> None:
    plain = dict(admin().metadata())
    assert Trust("knowledge").caller(plain, METHOD) == admin()
    with pytest.raises(Unauthenticated, match="no service token"):
        trust("knowledge").caller(plain, METHOD)
    for scheme in ("bearer ", "Basic ", ""):
        signed = {
            name: value.removeprefix("Bearer ") for name, value in trust("g").metadata(admin(), "knowledge", METHOD)
        }
        with pytest.raises(Unauthenticated):
            trust("knowledge").caller(plain | {"authorization": scheme + signed["authorization"]}, METHOD)


def test_the_key_shows_nowhere() -> None:
    key = trust("knowledge").key
    assert key
    assert repr(key) not in repr(trust("knowledge"))


def test_every_method_says_who_may_call_it() -> None:
    paths = {path: permission for service in SERVICES for path, permission in of_service(service).items()}
    assert len(paths) > 30
    assert [path for path, permission in paths.items() if not permission.scopes] == []
    option = permission_pb2.permission
    for service in SERVICES:
        for method in service.methods:
            wanted = method.GetOptions().Extensions[option]
            scopes = paths[f"/{service.full_name}/{method.name}"].scopes
            assert (SERVICE in scopes) == (
                wanted in {permission_pb2.PERMISSION_READ, permission_pb2.PERMISSION_SERVICE}
            )


def may(permission: Permission, *scopes: str, principal: str = "key:1") -> bool:
    try:
        permission.check(Caller("web", principal, "r", scopes=frozenset(scopes)))
    except Denied:
        return False
    return True


def test_scopes_are_held_to() -> None:
    read, write = Permission(frozenset({READ, SERVICE})), Permission(frozenset({WRITE}))
    assert [may(read, scope) for scope in (READ, WRITE, ADMIN, SERVICE)] == [True, False, True, True]
    assert [may(write, scope) for scope in (READ, WRITE, ADMIN, SERVICE)] == [False, True, True, False]
    assert [may(Permission(), scope) for scope in (READ, WRITE, ADMIN, SERVICE)] == [False] * 4
    assert not may(read)


def test_a_method_for_one_service_is_for_no_other() -> None:
    lease = of_service(knowledge_pb2.DESCRIPTOR.services_by_name["KnowledgeService"])[
        "/context.v1.KnowledgeService/LeaseChanges"
    ]
    assert may(lease, SERVICE, principal="service:retrieval")
    assert not may(lease, SERVICE, principal="service:gateway")
    assert not may(lease, ADMIN, principal="service:retrieval")
