"""Token counts are those of o200k_base, and nothing is asked of the network."""

import socket
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from context_retrieval import tokens
from tests.support.tokens import count as other_count

SAMPLES = [
    "",
    "Use Postgres for everything.",
    '{"id":"ADR-001","tokens_used":1234}',
    "<|endoftext|> is text like any other",
    "私たちはデータベースを選びました。" * 3,
    "def f(x):\n\treturn x ** 2\n" * 5,
    "a" * 500,
    "👩‍👩‍👧‍👦 naïve café",
]


@pytest.mark.parametrize("text", SAMPLES)
def test_counts_agree_with_another_implementation(text: str) -> None:
    assert tokens.count(text) == other_count(text)


# The other implementation goes by Python's tables of characters: what these do not know yet is left out.
@given(st.text(st.characters(exclude_categories=("Cs", "Cn")), max_size=200))
@settings(max_examples=50)
def test_any_text_counts_the_same(text: str) -> None:
    assert tokens.count(text) == other_count(text)


@given(st.text(max_size=300), st.integers(0, 50))
def test_a_cut_text_is_short_enough_and_a_beginning(text: str, most: int) -> None:
    shorter = tokens.cut(text, most)
    assert tokens.count(shorter) <= most
    assert text.startswith(shorter)
    assert tokens.cut(text, 10_000) == text


def test_a_cut_keeps_as_much_as_fits() -> None:
    text = "one two three four five six seven eight nine ten"
    assert tokens.cut(text, 5) in ("one two three four five", "one two three four")


def test_a_long_run_of_blanks_or_letters_is_counted_in_no_time() -> None:
    assert tokens.count(" " * 100_000) > 0
    assert tokens.count("a" * 100_000) > 0


def test_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    tokens.encoding.cache_clear()
    assert tokens.count("offline, too") > 0


def test_a_fresh_process_needs_no_cache_and_no_network() -> None:
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise SystemExit('a socket was opened')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from context_retrieval import tokens\n"
        "print(tokens.count('hello world'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "2"), done.stderr


# A part begins with a letter after punctuation, as a name in JSON does.
PARTS = st.lists(st.text(st.characters(exclude_categories=("Cs", "Cn")), max_size=60), min_size=1, max_size=5)


@given(PARTS, st.sampled_from(['},{"', '"},{"', '","', '"]},{"']))
@settings(max_examples=300, deadline=None)
@example(["it's", "'s", "don't 's"], '","')
@example(["1234567", "8é", "e\u0301", " "], '","')
@example(["a.", ".b", "x\n", "\ny", "/path/"], '","')
def test_parts_count_as_much_as_the_whole(texts: list[str], between: str) -> None:
    texts = [f"name{text}" for text in texts]
    part = tokens.Part(0, "")
    for place, text in enumerate(texts):
        part = part.joined(between if place else '{"', tokens.Part.of(text))
    assert part.then('"}') == tokens.count('{"' + between.join(texts) + '"}')


def test_what_was_counted_before_is_not_counted_again() -> None:
    counted = tokens.Part.of("one two three, four", 1000)
    assert (counted.tokens, counted.rest) == (1000, tokens.Part.of("one two three, four").rest)
