"""The form of an API key: whatever is made is read, and nothing that was mistyped is."""

import hashlib
import re

from hypothesis import given
from hypothesis import strategies as st

from context_common import apikey
from context_common.apikey import DIGITS, LENGTH

keys = st.builds(apikey.make)


@given(keys)
def test_what_is_made_is_read_again(key: apikey.ApiKey) -> None:
    assert apikey.read(key.text) == key
    assert len(key.text) == LENGTH == 62
    assert re.fullmatch(r"ctx_[0-9a-z]{8}_[0-9A-Za-z]{49}", key.text)
    assert key.prefix == f"ctx_{key.id}"
    assert key.digest == hashlib.sha256(key.text.encode()).digest()


@given(keys, st.integers(0, LENGTH - 1), st.sampled_from(DIGITS + "_- é\n"))
def test_one_wrong_character_is_told(key: apikey.ApiKey, place: int, character: str) -> None:
    mistyped = key.text[:place] + character + key.text[place + 1 :]
    assert (apikey.read(mistyped) is None) == (mistyped != key.text)


@given(keys, st.integers(0, LENGTH - 2))
def test_two_characters_swapped_are_told(key: apikey.ApiKey, place: int) -> None:
    swapped = key.text[:place] + key.text[place + 1] + key.text[place] + key.text[place + 2 :]
    assert (apikey.read(swapped) is None) == (swapped != key.text)


@given(st.text())
def test_any_other_text_is_none(text: str) -> None:
    assert apikey.read(text) is None


@given(keys, st.text(min_size=1, max_size=5))
def test_more_or_less_of_a_key_is_none(key: apikey.ApiKey, more: str) -> None:
    assert apikey.read(key.text + more) is None
    assert apikey.read(more + key.text) is None
    assert apikey.read(key.text[: -len(more)]) is None


def test_no_two_are_alike() -> None:
    made = [apikey.make() for _ in range(2_000)]
    assert len({key.id for key in made}) == len({key.text for key in made}) == 2_000


def test_every_digit_of_the_secret_varies() -> None:
    made = [apikey.make().text for _ in range(200)]
    fixed = {place for place in range(LENGTH) if len({text[place] for text in made}) == 1}
    assert fixed == {0, 1, 2, 3, 12}  # ctx_ and the second underscore


def test_a_key_is_not_printed() -> None:
    key = apikey.make()
    assert key.text not in f"{key} {key!r}"
