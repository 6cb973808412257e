"""What a key allows, and who may hand that on: nobody gives away more than they hold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from context_common.caller import EVERY, NAMESPACE, SCOPES, Caller
from context_common.errors import Denied
from context_knowledge.checks import Problems

NAME = 200  # characters
NAMESPACES = 100
PROVENANCES = ("human", "agent", "event")


@dataclass(frozen=True, slots=True)
class Grants:
    """Scopes, namespaces to read and write, more to read, and the provenance of what is written."""

    scopes: tuple[str, ...]
    namespaces: tuple[str, ...]
    read_namespaces: tuple[str, ...] = ()
    provenance: str = "human"


@dataclass(frozen=True, slots=True)
class Key:
    """A key, all but the secret. An `expires_at` of None is never."""

    id: str
    prefix: str
    name: str
    grants: Grants
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    replaced_by: str = ""


def check(name: str, grants: Grants) -> Grants:
    """`grants` without what they say twice.

    Raises:
        Invalid: Names every field that is wrong.
    """
    problems = Problems()
    problems.text("name", name, NAME)
    if not name.strip():
        problems.add("name", "is required")
    elif not name.isprintable():
        problems.add("name", "contains a control character")
    if not grants.scopes:
        problems.add("scopes", "is required")
    for index, scope in enumerate(grants.scopes):
        problems.one_of(f"scopes[{index}]", scope, sorted(SCOPES))
    if not (grants.namespaces or grants.read_namespaces):
        problems.add("namespaces", "is required")
    _check_namespaces(problems, "namespaces", grants.namespaces)
    _check_namespaces(problems, "read_namespaces", grants.read_namespaces)
    problems.one_of("provenance", grants.provenance, PROVENANCES)
    problems.complain()
    namespaces, reading = _once(grants.namespaces), _once(grants.read_namespaces)
    if EVERY in namespaces:
        reading = ()
    kept = tuple(name for name in reading if name not in namespaces)
    return replace(grants, scopes=_once(grants.scopes), namespaces=namespaces, read_namespaces=kept)


def check_held(who: Caller, grants: Grants) -> None:
    """Let nobody hand on what they do not hold.

    Raises:
        Denied: A scope or a namespace is not the caller's to give.
    """
    for scope in grants.scopes:
        if not who.may(scope):
            raise Denied(f"the scope {scope} is not yours to give")
    for namespace in grants.namespaces:
        if not who.may_write(namespace):
            raise Denied(f"the namespace {namespace} is not yours to give")
    for namespace in grants.read_namespaces:
        if not may_show(who, namespace):
            raise Denied(f"the namespace {namespace} is not yours to show")
    if not any(map(who.may_write, (*grants.namespaces, *grants.read_namespaces))):
        raise Denied("the namespaces are not yours to show")


def may_manage(who: Caller, grants: Grants) -> bool:
    """Whether the namespaces of a key are all the caller's, so that it may see and end it."""
    mine = all(map(who.may_write, grants.namespaces))
    shown = all(may_show(who, namespace) for namespace in grants.read_namespaces)
    return mine and shown and any(map(who.may_write, (*grants.namespaces, *grants.read_namespaces)))


def may_show(who: Caller, namespace: str) -> bool:
    """Whether the caller may let others read `namespace`; "*" only where it has "*"."""
    return who.may_read(namespace) or who.may_write(namespace)


def _check_namespaces(problems: Problems, field: str, names: Sequence[str]) -> None:
    if len(names) > NAMESPACES:
        problems.add(field, f"has more than {NAMESPACES} entries")
    for index, name in enumerate(names):
        if name != EVERY and not NAMESPACE.fullmatch(name):
            problems.add(f"{field}[{index}]", "must be * or 1 to 64 of a-z 0-9 . _ -, a letter or digit at both ends")


def _once(names: Sequence[str]) -> tuple[str, ...]:
    """`names`, each once; "*" stands for all others."""
    return (EVERY,) if EVERY in names else tuple(dict.fromkeys(names))
