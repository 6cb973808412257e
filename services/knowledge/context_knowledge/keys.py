"""API keys: made, listed, ended, rotated by administrators, and recognised for the gateway."""

import asyncio
from datetime import UTC, datetime, timedelta

import structlog

from context_common import apikey, deadline, pages
from context_common.apikey import ApiKey
from context_common.caller import EVERY, SCOPES, Caller
from context_common.errors import AppError, Conflict, Invalid, NotFound
from context_common.pages import Page
from context_knowledge import grants
from context_knowledge.grants import Grants, Key
from context_knowledge.once import Request, claim
from context_knowledge.store import Session, Store
from context_knowledge.store.keys import Found, NewKey

LONGEST_OVERLAP = timedelta(days=30)
LATEST = datetime(9999, 12, 31, tzinfo=UTC)  # that a rotated key can end
FRESH = timedelta(minutes=1)  # how exactly the last use of a key is known
TOUCH_SECONDS = 10.0
TOUCHES = 100  # last uses being written down at once; what is beyond is seen at the next use
FIRST_NAME = "first admin key"

log = structlog.get_logger()


class Keys:
    """The keys of this installation."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._touching: dict[str, asyncio.Task[None]] = {}

    async def create(
        self, who: Caller, name: str, granted: Grants, expires_at: datetime | None, request: Request | None = None
    ) -> tuple[Key, ApiKey]:
        """A new key; the second of the two is not kept.

        Raises:
            Invalid: Names every field that is wrong.
            Denied: A scope or a namespace is not the caller's to give.
            Conflict: The same `request` made a key before, or its key was another request's.
        """
        whole = grants.check(name, granted)
        grants.check_held(who, whole)

        async def work(session: Session) -> tuple[Key, ApiKey]:
            if expires_at and expires_at <= await session.keys.now():
                raise Invalid({"expires_at": ["is in the past"]})
            await _refuse_repeated(session, request)
            key, made = await _insert(session, name, whole, expires_at)
            if request:
                await session.once.keep(request.key, key.id.encode())
            await _audit(session, "create_key", key)
            return key, made

        return await self._store.run(who, work, namespaces=(who.namespace, *_told(whole)))

    async def list(self, who: Caller, page_size: int, cursor: str, *, ended: bool) -> Page[Key]:
        """A page of the keys whose namespaces are all the caller's, newest first; `ended` adds what holds no more.

        Raises:
            Invalid: The cursor belongs to another list, or the size is negative.
        """
        size, mark = pages.size(page_size), pages.mark("keys", ended)
        before = pages.decode_moment(cursor, mark) if cursor else None
        found = await self._store.run(who, lambda s: s.keys.page(before, size + 1, ended=ended))
        return pages.cut(found, size, mark, lambda key: (key.created_at.isoformat(), key.id))

    async def revoke(self, who: Caller, key_id: str) -> Key:
        """End a key at once; one that was revoked before stays as it is.

        Raises:
            NotFound: There is no such key among those whose namespaces are all the caller's.
        """
        key = await self._find(who, key_id)

        async def work(session: Session) -> Key:
            held = await _lock(session, key_id)
            revoked = await session.keys.revoke(key_id)
            if revoked is None:
                return held
            await _audit(session, "revoke_key", revoked)
            return revoked

        return await self._store.run(who, work, namespaces=_told(key.grants))

    async def rotate(
        self, who: Caller, key_id: str, overlap: timedelta, request: Request | None = None
    ) -> tuple[Key, ApiKey, Key]:
        """A new key for the same, and the old one, which ends after `overlap` (30 days at most).

        The new one lives as long as the old one was meant to.

        Raises:
            NotFound: There is no such key among those whose namespaces are all the caller's.
            Conflict: It has ended, or was rotated already, by the same `request` too; or its key was another request's.
            Invalid: The overlap is out of range.
            Denied: A scope is not the caller's to give.
        """
        if not timedelta() <= overlap <= LONGEST_OVERLAP:
            raise Invalid({"overlap": [f"must be from 0 to {LONGEST_OVERLAP.days} days"]})
        key = await self._find(who, key_id)
        grants.check_held(who, key.grants)

        async def work(session: Session) -> tuple[Key, ApiKey, Key]:
            old = await _lock(session, key_id)
            # Before anything else is wrong: to who sends it again the first answer is owed, not that the key has ended.
            await _refuse_repeated(session, request)
            now = await session.keys.now()
            _refuse_ended(old, now)
            lives = old.expires_at - old.created_at if old.expires_at else None
            ends = now + min(lives, LATEST - now) if lives else None
            new, made = await _insert(session, old.name, old.grants, ends)
            replaced = await session.keys.replace(old.id, new.id, overlap)
            if request:
                await session.once.keep(request.key, new.id.encode())
            await _audit(session, "create_key", new)
            await _audit(session, "rotate_key", replaced, f"replaced by {new.id}, ends {_time(replaced.expires_at)}")
            return new, made, replaced

        return await self._store.run(who, work, namespaces=(who.namespace, *_told(key.grants)))

    async def authenticate(self, who: Caller, digest: bytes) -> Key:
        """What the key with this digest may do.

        Raises:
            NotFound: There is none, or it is revoked or expired.
            Invalid: It is no SHA-256 digest.
        """
        if len(digest) != apikey.DIGEST:
            raise Invalid({"digest": [f"must have {apikey.DIGEST} bytes"]})
        found: Found | None = await self._store.run(who, lambda s: s.keys.authenticate(digest, FRESH))
        if found is None:
            raise NotFound("no such key holds")
        if found.unseen:
            self._touch(who, found.key.id)
        return found.key

    async def make_first(self, who: Caller) -> ApiKey | None:
        """The first key for everything; None where one stands that has not ended."""
        everything = Grants(tuple(sorted(SCOPES)), (EVERY,))

        async def work(session: Session) -> ApiKey | None:
            if not await session.keys.lacks_admin():
                return None
            key, made = await _insert(session, FIRST_NAME, everything, None)
            await _audit(session, "create_key", key)
            return made

        return await self._store.run(who, work, namespaces=_told(everything))

    async def settled(self) -> None:
        """Wait for the last uses that are being written down."""
        await asyncio.gather(*self._touching.values())

    async def _find(self, who: Caller, key_id: str) -> Key:
        """The key as it stands; what it allows never changes."""
        return await self._store.run(who, lambda session: _lock(session, key_id))

    def _touch(self, who: Caller, key_id: str) -> None:
        """Write down in the background that a key is in use, so that nobody waits for it or fails with it."""
        if key_id in self._touching or len(self._touching) >= TOUCHES:
            return
        task = asyncio.create_task(self._write_use(who, key_id))
        self._touching[key_id] = task
        task.add_done_callback(lambda _: self._touching.pop(key_id, None))

    async def _write_use(self, who: Caller, key_id: str) -> None:
        deadline.bind(TOUCH_SECONDS)  # its own, not that of the call it began with
        try:
            await self._store.run(who, lambda session: session.keys.touch(key_id, FRESH))
        except AppError as error:
            log.warning("key_use_not_kept", key=key_id, reason=error.message)


async def _insert(session: Session, name: str, granted: Grants, expires_at: datetime | None) -> tuple[Key, ApiKey]:
    made = apikey.make()
    new = NewKey(made.id, made.digest, made.prefix, name.strip(), granted, expires_at)
    return await session.keys.insert(new), made


async def _refuse_repeated(session: Session, request: Request | None) -> None:
    if request and (earlier := await claim(session, request)):
        raise Conflict(f"that request made the key {earlier.decode()}, and a key is shown only once")


async def _lock(session: Session, key_id: str) -> Key:
    key = None if "\0" in key_id else await session.keys.lock(key_id)
    if key is None:
        raise NotFound(f"there is no key {key_id}" if key_id.isalnum() else "there is no such key")
    return key


def _refuse_ended(key: Key, now: datetime) -> None:
    if key.revoked_at or (key.expires_at and key.expires_at <= now):
        raise Conflict(f"{key.id} has ended")
    if key.replaced_by:
        raise Conflict(f"{key.id} was rotated to {key.replaced_by} already")


async def _audit(session: Session, action: str, key: Key, detail: str = "") -> None:
    """Write down what became of a key: in its namespace, or where it has several in none."""
    said = detail or (
        f"{key.prefix} {' '.join(key.grants.scopes)}; namespaces {' '.join(key.grants.namespaces) or 'none'};"
        f" reads {' '.join(key.grants.read_namespaces) or 'none'}; ends {_time(key.expires_at)}"
    )
    (namespace,) = _told(key.grants)
    await session.audit.write(action, key.id, detail=said, namespace=namespace)


def _told(granted: Grants) -> tuple[str]:
    """The namespace whose administrators learn what becomes of a key: its own, the empty one where it has several."""
    names = {*granted.namespaces, *granted.read_namespaces}
    only = names.pop() if len(names) == 1 else EVERY
    return ("" if only == EVERY else only,)


def _time(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else "never"
