"""Limits without a server: rates as text, addresses behind proxies, lanes, nesting."""

import asyncio
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from context_common.nesting import DEEPEST
from context_common.settings import SettingsError
from context_gateway.address import client_address, network_of
from context_gateway.bodies import parse
from context_gateway.lanes import LEAST, NOBODY, SHRINK, START, Busy, Lane, Party
from context_gateway.limits import rate
from context_gateway.problems import Refused
from context_gateway.settings import Settings

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
ADA = Party("ada")
PROD = {"APP_ENV": "prod", "SECRET_KEY_BASE": "0123456789abcdef" * 4}


@pytest.mark.parametrize(
    ("text", "amount", "seconds"), [("600/minute", 600, 60), ("10 per 5 seconds", 10, 5), ("1/hour", 1, 3600)]
)
def test_a_rate_is_read(text: str, amount: int, seconds: int) -> None:
    item = rate(text)
    assert item
    assert (item.amount, item.get_expiry()) == (amount, seconds)


def test_rates_have_defaults_in_prod_only() -> None:
    assert Settings.from_env({}).limits.rates == {}
    rates = Settings.from_env(PROD).limits.rates
    assert {name: (item.amount, item.get_expiry()) for name, item in rates.items()} == {
        "default": (600, 60),
        "bulk": (60_000, 60),
        "auth": (30, 60),
    }
    assert "default" not in Settings.from_env(PROD | {"RATE_LIMIT": "unlimited"}).limits.rates


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATE_LIMIT", "fast"),
        ("RATE_LIMIT", "0/minute"),
        ("RATE_LIMIT_READ", "5/minute;1/second"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, gateway"),
        ("REDIS_URL", "http://:hunter2@localhost"),
        ("REDIS_URL", "redis://:hunter2@localhost:port"),
        ("MAX_CONCURRENCY", "0"),
    ],
)
def test_a_wrong_limit_is_named_at_the_start(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({name: value})
    assert name in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),  # the peer is no proxy of ours
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),  # the left one is what the caller made up
        ("10.0.0.1", ["198.51.100.7, 10.2.3.4"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7", "10.2.3.4"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("fd00::1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["evil\x00, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["198.51.100.7," + "10.0.0.2," * 5000], "10.0.0.1"),
        ("", ["198.51.100.7"], ""),
    ],
)
def test_the_address_is_the_rightmost_that_no_proxy_vouches_for(peer: str, forwarded: list[str], expected: str) -> None:
    headers = Headers(raw=[(b"x-forwarded-for", value.encode()) for value in forwarded])
    assert client_address(peer, headers, PROXIES) == expected


def test_one_subscriber_counts_as_one() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff")
    assert network_of("2001:db8::1") != network_of("2001:db8:0:1::1")
    assert network_of("192.0.2.1") != network_of("192.0.2.2")


async def test_a_lane_lets_in_its_number_and_refuses_who_waits_too_long() -> None:
    lane = Lane("test", most=2, wait=0.02)
    places = [await lane.enter(), await lane.enter()]
    with pytest.raises(Busy):
        await lane.enter()
    lane.leave(places[0])
    assert await lane.enter()


async def test_a_free_place_goes_to_who_waited_longest_and_the_queue_is_bounded() -> None:
    lane = Lane("test", most=1, wait=5)
    place = await lane.enter()
    first = asyncio.create_task(lane.enter())
    await asyncio.sleep(0)
    with pytest.raises(Busy):  # one waits already: this one is told at once
        await lane.enter()
    lane.leave(place)
    lane.leave(await first)
    assert await lane.enter()


async def test_a_caller_holds_half_of_a_lane_and_waits_for_their_own() -> None:
    lane = Lane("test", most=4, wait=5)
    places = [await lane.enter(ADA) for _ in range(2)]
    waiting = [asyncio.create_task(lane.enter(ADA)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):  # half of those who wait may be theirs, too
        await lane.enter(ADA)
    for caller in ("bob", "eve"):  # past those who wait for ada's places
        assert await asyncio.wait_for(lane.enter(Party(caller)), 1)
    assert not any(one.done() for one in waiting)
    lane.leave(places[0], party=ADA)
    assert await asyncio.wait_for(waiting[0], 1)
    assert not waiting[1].done()
    lane.leave(0.0, party=Party("bob"))  # a free place, and none of ada's
    await asyncio.sleep(0)
    assert not waiting[1].done()
    lane.leave(places[1], party=ADA)
    assert await asyncio.wait_for(waiting[1], 1)


async def test_a_lane_remembers_nobody_who_has_left() -> None:
    lane = Lane("test", most=4, wait=0)
    for name in ("ada", "bob"):
        async with lane.place("", Party(name)):
            pass
    assert lane._held == lane._held_from == {}


async def test_who_shares_a_credential_takes_turns_by_address() -> None:
    lane = Lane("test", most=8, wait=5)
    loud, quiet = Party("ada", "10.0.0.1"), Party("ada", "10.0.0.2")
    places = [await lane.enter(loud) for _ in range(4)]
    many = [asyncio.create_task(lane.enter(loud)) for _ in range(4)]
    await asyncio.sleep(0)
    one = asyncio.create_task(lane.enter(quiet))  # for whom there is no room, but that the last of many gives way
    with pytest.raises(Busy):
        await many[-1]
    assert not one.done()
    lane.leave(places[0], party=loud)
    assert await asyncio.wait_for(one, 1)
    assert not any(waiting.done() for waiting in many[:-1])
    assert await asyncio.wait_for(lane.enter(Party("bob", "10.0.0.1")), 1)  # both together have what one credential has
    lane.leave(places[1], party=loud)
    assert await asyncio.wait_for(many[0], 1)


async def test_nobody_gives_way_who_has_hardly_more_waiting() -> None:
    lane = Lane("test", most=8, wait=5)
    parties = [Party("ada", f"10.0.0.{number}") for number in range(4)]
    for party in parties:
        await lane.enter(party)
    waiting = [asyncio.create_task(lane.enter(party)) for party in parties]
    await asyncio.sleep(0)
    for address in ("10.0.0.1", "10.0.0.9"):
        with pytest.raises(Busy):
            await lane.enter(Party("ada", address))
    assert not any(one.done() for one in waiting)
    for one in waiting:
        one.cancel()


async def test_a_lane_that_one_caller_fills_learns_from_them_alone() -> None:
    rounds = Rounds()
    await rounds.run(1, 0.01, most=1, party=ADA)
    assert await rounds.run(100, 0.2, party=ADA) == LEAST
    assert await rounds.run(6000, 0.05, party=ADA) == 64


@pytest.mark.parametrize("granted", [False, True])
async def test_who_leaves_while_waiting_takes_no_place_along(granted: bool) -> None:
    lane = Lane("test", most=1, wait=5)
    place = await lane.enter(ADA)
    waiting = asyncio.create_task(lane.enter(ADA))
    await asyncio.sleep(0)
    if granted:  # the place is theirs, and they do not know yet
        lane.leave(place, party=ADA)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    if not granted:
        lane.leave(place, party=ADA)
    assert await asyncio.wait_for(lane.enter(ADA), 1)


class Rounds:
    """A lane under a clock of its own, in which as many requests run together as it lets in, or `most`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lane = Lane("test", most=64, wait=0, target=0.1, clock=lambda: self.now)

    async def run(self, rounds: int, seconds: float, most: int = 64, operation: str = "", party: Party = NOBODY) -> int:
        """The lane's limit after `rounds` of requests that take `seconds` each."""
        for _ in range(rounds):
            lets_in = self.lane.share if party.caller else self.lane.limit
            entered = [await self.lane.enter(party) for _ in range(min(most, lets_in))]
            self.now += seconds
            for one in entered:
                self.lane.leave(one, operation, party)
        return self.lane.limit


async def test_a_lane_shrinks_while_requests_take_too_long_and_grows_when_they_do_not() -> None:
    rounds = Rounds()
    await rounds.run(1, 0.01, most=1)
    assert await rounds.run(100, 0.2) == LEAST
    assert await rounds.run(200, 0.05) > LEAST
    assert await rounds.run(3000, 0.05) == 64


async def test_a_lane_shrinks_once_for_requests_that_ran_together() -> None:
    rounds = Rounds()
    await rounds.run(1, 0.01, most=1)
    assert await rounds.run(1, 0.2) == int(START * SHRINK)


async def test_few_slow_requests_do_not_shrink_a_lane() -> None:
    rounds = Rounds()
    await rounds.run(1, 0.01, most=1)
    assert await rounds.run(100, 0.2, most=3) == START


async def test_what_is_slow_by_itself_does_not_shrink_a_lane() -> None:
    rounds = Rounds()
    await rounds.run(1, 0.01, most=1, operation="quick")
    assert await rounds.run(100, 0.5, operation="slow") > START
    assert await rounds.run(30, 1.6, operation="slow") == LEAST


@given(st.integers(1, 3 * DEEPEST), st.sampled_from([("[", "]"), ('{"a":', "}")]))
def test_json_nests_to_a_limit(depth: int, brackets: tuple[str, str]) -> None:
    before, after = brackets
    body = (before * depth + "1" + after * depth).encode()
    if depth <= DEEPEST:
        parse(body)
    else:
        with pytest.raises(Refused, match="too deep"):
            parse(body)


@pytest.mark.parametrize("bracket", [b"[", b'{"a":', b'[{"a":'])
def test_endless_nesting_is_refused_without_end_of_stack(bracket: bytes) -> None:
    with pytest.raises(Refused):
        parse(bracket * 100_000)


def test_brackets_in_strings_do_not_nest() -> None:
    assert parse(b'{"a": "' + b"[{" * 1000 + b'"}') == {"a": "[{" * 1000}
