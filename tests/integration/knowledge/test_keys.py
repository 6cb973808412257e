"""Keys: shown once, kept as a digest, handed on only by those who hold as much, ended at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from context.v1 import admin_pb2 as pb
from context.v1 import types_pb2 as types
from context_common import apikey
from context_common.caller import ADMIN, READ, WRITE
from context_common.errors import AppError, Conflict, Denied, Invalid, NotFound
from tests.support.administration import ADDRESS, Administration, administrator, ahead
from tests.support.knowledge import Knowledge
from tests.support.trust import service


async def test_a_key_is_shown_once_and_recognised_by_its_digest(
    knowledge: Knowledge, administration: Administration
) -> None:
    made = await administration.create_key(name=" ci ", scopes=[READ, WRITE, READ], namespaces=["web"], reads=["ops"])
    key = apikey.read(made.secret)
    assert key
    assert (made.key.id, made.key.prefix, made.key.name) == (key.id, key.prefix, "ci")
    assert made.key.created_by == "key:root"
    assert made.key.grants == pb.Grants(
        scopes=[READ, WRITE], namespaces=["web"], read_namespaces=["ops"], provenance=types.PROVENANCE_HUMAN
    )
    found = await administration.authenticate(made.secret)
    assert found == made.key
    assert not made.key.HasField("expires_at")
    kept = str(await knowledge.rows("SELECT to_jsonb(k) FROM keys k")) + str(await knowledge.rows("TABLE audit"))
    assert made.secret not in kept
    assert made.secret[13:] not in kept
    assert made.key.id in kept


async def test_a_request_that_comes_again_makes_no_second_key(administration: Administration) -> None:
    made = await administration.create_key(repeat="k-1", expires_at=ahead(days=1))
    with pytest.raises(Conflict, match=made.key.id):
        await administration.create_key(repeat="k-1", expires_at=ahead(days=1, seconds=5))
    for other in ({"namespaces": ["web", "billing"]}, {"name": "another"}):
        with pytest.raises(Conflict, match="another request"):
            await administration.create_key(repeat="k-1", **other)
    done = await asyncio.gather(
        *(administration.create_key(repeat="k-2", namespaces=["billing"]) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(one, pb.CreateKeyResponse) for one in done) == 1
    assert sum(isinstance(one, Conflict) for one in done) == 4
    assert len(await administration.keys()) == 2


async def test_a_rotation_that_comes_again_names_the_key_that_it_made(administration: Administration) -> None:
    old, other = await administration.create_key(), await administration.create_key()
    hour = timedelta(hours=1)
    done = await asyncio.gather(
        *(administration.rotate(old.key.id, hour, repeat="k-3") for _ in range(5)), return_exceptions=True
    )
    (made,) = [one.key for one in done if isinstance(one, pb.RotateKeyResponse)]
    refused = [str(one) for one in done if isinstance(one, Conflict)]
    assert refused == [f"that request made the key {made.id}, and a key is shown only once"] * 4
    for key_id, overlap in ((old.key.id, timedelta()), (other.key.id, hour)):
        with pytest.raises(Conflict, match="another request"):
            await administration.rotate(key_id, overlap, repeat="k-3")
    with pytest.raises(Conflict, match=f"was rotated to {made.id} already"):
        await administration.rotate(old.key.id, hour, repeat="k-4")


async def test_a_rotation_that_ended_the_old_key_at_once_is_known_again(administration: Administration) -> None:
    old = await administration.create_key()
    made = await administration.rotate(old.key.id, repeat="k-5")
    with pytest.raises(Conflict, match=f"that request made the key {made.key.id}"):
        await administration.rotate(old.key.id, repeat="k-5")


async def test_a_secret_is_no_name(administration: Administration) -> None:
    other = apikey.make()
    made = await administration.create_key(name=f"instead of {other.text}")
    assert other.text not in made.key.name
    assert made.key.name.startswith("instead of ")


async def test_the_provenance_and_the_end_of_a_key_are_kept(administration: Administration) -> None:
    made = await administration.create_key(expires_at=ahead(hours=1), provenance=types.PROVENANCE_AGENT)
    found = await administration.authenticate(made.secret)
    assert found.grants.provenance == types.PROVENANCE_AGENT
    assert timedelta(minutes=59) < found.expires_at.ToDatetime(UTC) - datetime.now(UTC) <= timedelta(hours=1)


async def test_what_stands_for_all_stands_alone(administration: Administration) -> None:
    made = await administration.create_key(namespaces=["web", "*"], reads=["ops", "web"])
    assert (list(made.key.grants.namespaces), list(made.key.grants.read_namespaces)) == (["*"], [])
    made = await administration.create_key(namespaces=["web"], reads=["ops", "*"])
    assert (list(made.key.grants.namespaces), list(made.key.grants.read_namespaces)) == (["web"], ["*"])


BAD_KEYS: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": " \t"}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"name": "a\0"}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"scopes": []}, "scopes"),
    ({"scopes": [READ, "root"]}, "scopes[1]"),
    ({"scopes": ["service"]}, "scopes[0]"),
    ({"namespaces": []}, "namespaces"),
    ({"namespaces": ["Web"]}, "namespaces[0]"),
    ({"namespaces": ["web", ""]}, "namespaces[1]"),
    ({"namespaces": ["a,b"]}, "namespaces[0]"),
    ({"namespaces": [f"n{n}" for n in range(101)]}, "namespaces"),
    ({"reads": ["ops", "no/way"]}, "read_namespaces[1]"),
    ({"provenance": types.PROVENANCE_IMPORT}, "provenance"),
    ({"provenance": 77}, "provenance"),
    ({"expires_at": ahead(seconds=-1)}, "expires_at"),
]


@pytest.mark.parametrize(("wrong", "named"), BAD_KEYS, ids=lambda value: str(value)[:40])
async def test_a_key_that_cannot_be_is_refused_by_name(
    administration: Administration, wrong: dict[str, Any], named: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await administration.create_key(**wrong)
    assert list(caught.value.fields) == [named]
    assert await administration.keys() == []


async def test_times_that_are_none_are_refused_by_name(administration: Administration) -> None:
    grants = pb.Grants(scopes=[READ], namespaces=["web"])
    request = pb.CreateKeyRequest(name="x", grants=grants, expires_at=Timestamp(seconds=2**62))
    with pytest.raises(Invalid) as caught:
        await administration.ask("CreateKey", request)
    assert list(caught.value.fields) == ["expires_at"]


async def test_a_key_holds_no_more_once_it_is_over(knowledge: Knowledge, administration: Administration) -> None:
    made = await administration.create_key(expires_at=ahead(hours=1))
    await knowledge.execute("UPDATE keys SET expires_at = clock_timestamp() - interval '1 second'")
    with pytest.raises(NotFound):
        await administration.authenticate(made.secret)
    assert await administration.keys() == []
    assert [key.id for key in await administration.keys(include_ended=True)] == [made.key.id]


async def test_no_other_digest_is_a_key(administration: Administration) -> None:
    await administration.create_key()
    with pytest.raises(NotFound):
        await administration.authenticate(apikey.make().text)
    for digest in (b"", b"x" * 31, b"x" * 33):
        with pytest.raises(Invalid):
            await administration.as_(service("gateway")).ask(
                "AuthenticateKey", pb.AuthenticateKeyRequest(digest=digest)
            )


async def test_only_the_gateway_asks_about_keys(administration: Administration) -> None:
    made = await administration.create_key()
    request = pb.AuthenticateKeyRequest(digest=apikey.ApiKey(made.secret).digest)
    with pytest.raises(Denied):
        await administration.ask("AuthenticateKey", request)


async def test_a_revoked_key_is_over_at_once_and_for_good(administration: Administration) -> None:
    made = await administration.create_key()
    first = await administration.revoke(made.key.id)
    assert first.HasField("revoked_at")
    with pytest.raises(NotFound):
        await administration.authenticate(made.secret)
    assert await administration.revoke(made.key.id) == first
    assert [entry.action for entry in await administration.audit(item_id=made.key.id)] == ["revoke_key", "create_key"]


@pytest.mark.parametrize("key_id", ["", "nothere1", "a\0b", "../x"])
async def test_a_key_that_is_not_there_cannot_be_ended(administration: Administration, key_id: str) -> None:
    with pytest.raises(NotFound):
        await administration.revoke(key_id)
    with pytest.raises(NotFound):
        await administration.rotate(key_id)


async def test_after_a_rotation_both_keys_hold_until_the_overlap_is_over(
    knowledge: Knowledge, administration: Administration
) -> None:
    made = await administration.create_key(scopes=[READ, WRITE], reads=["ops"])
    rotated = await administration.rotate(made.key.id, timedelta(hours=1))
    assert rotated.key.grants == made.key.grants
    assert rotated.key.name == made.key.name
    assert rotated.replaced.replaced_by == rotated.key.id
    assert timedelta(minutes=59) < rotated.replaced.expires_at.ToDatetime(UTC) - datetime.now(UTC) < timedelta(hours=1)
    for secret in (made.secret, rotated.secret):
        await administration.authenticate(secret)
    await knowledge.execute("UPDATE keys SET expires_at = now() - interval '1 second' WHERE id = %s", made.key.id)
    with pytest.raises(NotFound):
        await administration.authenticate(made.secret)
    assert (await administration.authenticate(rotated.secret)).id == rotated.key.id


async def test_a_key_that_ends_with_time_itself_can_be_rotated(administration: Administration) -> None:
    made = await administration.create_key(expires_at=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    await asyncio.sleep(1.1)  # so that as long again would end after that
    rotated = await administration.rotate(made.key.id, timedelta(0))
    assert rotated.key.expires_at.ToDatetime(UTC).year == 9999


async def test_a_rotation_without_overlap_ends_the_old_key_at_once(administration: Administration) -> None:
    made = await administration.create_key()
    rotated = await administration.rotate(made.key.id)
    with pytest.raises(NotFound):
        await administration.authenticate(made.secret)
    assert (await administration.authenticate(rotated.secret)).id == rotated.key.id


async def test_a_new_key_lives_as_long_as_the_old_one_was_meant_to_and_never_makes_that_longer(
    knowledge: Knowledge, administration: Administration
) -> None:
    made = await administration.create_key(expires_at=ahead(days=10))
    await knowledge.execute(
        "UPDATE keys SET created_at = created_at - interval '9 days', expires_at = expires_at - interval '9 days'"
    )
    rotated = await administration.rotate(made.key.id, timedelta(days=30))
    left = rotated.key.expires_at.ToDatetime(UTC) - datetime.now(UTC)
    assert timedelta(days=9, hours=23) < left < timedelta(days=10, minutes=1)
    assert rotated.replaced.expires_at.ToDatetime(UTC) < ahead(days=1, minutes=1)


async def test_only_a_key_that_holds_is_rotated_and_only_once(administration: Administration) -> None:
    ended, rotated = await administration.create_key(), await administration.create_key()
    await administration.revoke(ended.key.id)
    await administration.rotate(rotated.key.id, timedelta(hours=1))
    for made in (ended, rotated):
        with pytest.raises(Conflict):
            await administration.rotate(made.key.id, timedelta(hours=1))
    for overlap in (timedelta(seconds=-1), timedelta(days=30, seconds=1)):
        with pytest.raises(Invalid) as caught:
            await administration.rotate(rotated.key.id, overlap)
        assert list(caught.value.fields) == ["overlap"]


async def test_of_many_rotations_at_once_one_counts(administration: Administration) -> None:
    made = await administration.create_key()
    done = await asyncio.gather(
        *(administration.rotate(made.key.id, timedelta(hours=1)) for _ in range(8)), return_exceptions=True
    )
    new = [one for one in done if isinstance(one, pb.RotateKeyResponse)]
    assert len(new) == 1
    assert all(isinstance(one, Conflict) for one in done if not isinstance(one, pb.RotateKeyResponse))
    assert len(await administration.keys()) == 2


async def test_a_rotation_and_a_revocation_at_once_never_leave_the_old_key_alive(
    administration: Administration,
) -> None:
    for _ in range(5):
        made = await administration.create_key()
        rotated, revoked = await asyncio.gather(
            administration.rotate(made.key.id, timedelta(hours=1)),
            administration.revoke(made.key.id),
            return_exceptions=True,
        )
        assert isinstance(rotated, pb.RotateKeyResponse | Conflict)
        assert isinstance(revoked, pb.Key)
        with pytest.raises(NotFound):
            await administration.authenticate(made.secret)


async def test_of_many_revocations_at_once_one_is_written_down(administration: Administration) -> None:
    made = await administration.create_key()
    done = await asyncio.gather(*(administration.revoke(made.key.id) for _ in range(8)))
    assert len({key.revoked_at.ToNanoseconds() for key in done}) == 1
    assert len(await administration.audit(action="revoke_key")) == 1


async def test_lists_are_newest_first_and_go_on_where_they_ended(administration: Administration) -> None:
    made = [(await administration.create_key(name=f"key {n}")).key for n in range(5)]
    await administration.revoke(made[2].id)
    held = [key.name for key in await administration.keys()]
    assert held == ["key 4", "key 3", "key 1", "key 0"]
    found: list[str] = []
    token = ""
    while True:
        request = pb.ListKeysRequest(page_size=2, page_token=token, include_ended=True)
        page: pb.ListKeysResponse = await administration.ask("ListKeys", request)
        found += [key.name for key in page.keys]
        token = page.next_page_token
        if not token:
            break
    assert found == [f"key {n}" for n in (4, 3, 2, 1, 0)]


async def test_a_cursor_of_another_list_is_refused(administration: Administration) -> None:
    for _ in range(2):
        await administration.create_key()
    page = await administration.ask("ListKeys", pb.ListKeysRequest(page_size=1))
    with pytest.raises(Invalid) as caught:
        await administration.keys(page_token=page.next_page_token, include_ended=True)
    assert list(caught.value.fields) == ["cursor"]
    for token in ("x", "ä", "W10", page.next_page_token[:-4]):
        with pytest.raises(Invalid):
            await administration.keys(page_token=token)
    with pytest.raises(Invalid):
        await administration.keys(page_size=-1)


ESCALATIONS: list[dict[str, Any]] = [
    {"namespaces": ["ops"]},
    {"namespaces": ["web", "billing"]},
    {"namespaces": ["*"]},
    {"namespaces": ["web"], "reads": ["other"]},
    {"namespaces": ["web"], "reads": ["*"]},
    {"namespaces": [], "reads": ["ops"]},  # only to read: it is not theirs to show to others by itself
]


@pytest.mark.parametrize("asked", ESCALATIONS, ids=str)
async def test_nobody_gives_away_more_than_they_hold(administration: Administration, asked: dict[str, Any]) -> None:
    web = administration.as_(administrator("web", "api", reads=["ops"]))
    with pytest.raises(Denied):
        await web.create_key(**asked)
    assert await administration.keys() == []


async def test_everybody_gives_away_what_they_hold(administration: Administration) -> None:
    web = administration.as_(administrator("web", "api", reads=["ops"]))
    for namespaces, reads in ((["web"], []), (["web", "api"], ["ops"]), ([], ["web"]), ([], ["web", "ops"])):
        made = await web.create_key(scopes=[ADMIN], namespaces=namespaces, reads=reads)
        assert (await web.rotate(made.key.id)).key.grants == made.key.grants
    assert len(await web.keys()) == 4


async def test_without_the_scope_there_are_no_keys(administration: Administration) -> None:
    made = await administration.create_key()
    writer = administration.as_(administrator("web", scopes=[READ, WRITE]))
    for attempt in (
        writer.create_key(),
        writer.keys(),
        writer.revoke(made.key.id),
        writer.rotate(made.key.id),
        writer.audit(),
        writer.set_aside(),
        writer.retry(),
        writer.as_(service("gateway")).create_key(),
    ):
        with pytest.raises(Denied):
            await attempt


@pytest.mark.parametrize(
    "grants",
    [
        {"namespaces": ["billing"]},
        {"namespaces": ["web", "billing"]},
        {"namespaces": ["*"]},
        {"namespaces": ["web"], "reads": ["billing"]},
        {"namespaces": [], "reads": ["ops"]},
    ],
    ids=str,
)
async def test_keys_of_other_namespaces_are_not_there(administration: Administration, grants: dict[str, Any]) -> None:
    made = await administration.create_key(**grants)
    web = administration.as_(administrator("web", reads=["ops"]))
    assert await web.keys(include_ended=True) == []
    for attempt in (web.revoke(made.key.id), web.rotate(made.key.id)):
        with pytest.raises(NotFound):
            await attempt
    await administration.authenticate(made.secret)


async def test_the_last_use_is_known_to_a_minute_and_keeps_nobody_waiting(
    knowledge: Knowledge, administration: Administration
) -> None:
    made = await administration.create_key()
    found = await administration.authenticate(made.secret)
    assert not found.HasField("last_used_at")

    async def last_use() -> Timestamp:
        for _ in range(100):
            (key,) = await administration.keys()
            if key.HasField("last_used_at"):
                return key.last_used_at
            await asyncio.sleep(0.05)
        raise AssertionError("nobody wrote down that the key is in use")

    first = await last_use()
    await asyncio.gather(*(administration.authenticate(made.secret) for _ in range(20)))
    assert await last_use() == first
    await knowledge.execute("UPDATE keys SET last_used_at = last_used_at - interval '2 minutes'")
    await administration.authenticate(made.secret)
    for _ in range(100):
        if (await last_use()).ToNanoseconds() > first.ToNanoseconds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the last use grew old")


async def test_a_key_is_recognised_while_its_use_cannot_be_written(
    knowledge: Knowledge, administration: Administration
) -> None:
    made = await administration.create_key()
    await knowledge.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = 'disk_full'; END $$"
    )
    await knowledge.execute("CREATE TRIGGER disk_full BEFORE UPDATE ON keys FOR EACH ROW EXECUTE FUNCTION refuse()")
    for _ in range(3):
        assert (await administration.authenticate(made.secret)).id == made.key.id


async def test_every_key_action_is_written_down_with_who_and_from_where(administration: Administration) -> None:
    made = await administration.create_key(namespaces=["web"])
    rotated = await administration.rotate(made.key.id, timedelta(minutes=5))
    await administration.revoke(rotated.key.id)
    entries = await administration.audit()
    assert [(entry.action, entry.item_id) for entry in entries] == [
        ("revoke_key", rotated.key.id),
        ("rotate_key", made.key.id),
        ("create_key", rotated.key.id),
        ("create_key", made.key.id),
    ]
    assert {(entry.principal, entry.address, entry.request_id) for entry in entries} == {
        ("key:root", ADDRESS, "request-1")
    }
    assert "namespaces web" in entries[-1].detail


async def test_what_was_refused_leaves_no_trace(knowledge: Knowledge, administration: Administration) -> None:
    with pytest.raises(AppError):
        await administration.create_key(expires_at=ahead(days=-1))
    assert await knowledge.count("audit") == await knowledge.count("keys") == 0
