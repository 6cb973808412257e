"""Secrets go, everything else stays: labelled texts, and the properties that hold for any text."""

import importlib
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from context_common.redact import Redacted, redact
from context_common.secret_names import NAMED, STAND_IN, is_secret_name
from context_common.secret_places import COMMANDS, GUESSES
from context_common.secret_shapes import FRAMES, WORDS
from tests.support.labelled import Sample, read

SECRETS, KEPT = "secrets.txt", "kept.txt"
SECRETS_HELD_OUT, KEPT_HELD_OUT = "secrets-held-out.txt", "kept-held-out.txt"
PARSER: Any = importlib.import_module("re._parser")
MIB = 1_048_576
# Each would make a pattern that goes back and tries again run for hours.
HOSTILE = (
    "password=", "password:", "password is ", 'password="', "token=\\", "secret_1_2", "api key ", "--a-", "a://b:",
    "a://:x@", "http://a:", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nAAAA", "eyJ", ".eyJ", "eyJa.",
    "sk-", "ghp_", "$2b$", "a:1:", "x:y@", "curl -u ", "mysql -p", "login a password ", "LS0tLS1CRUdJTi", "basic ",
    "bearer ", '"auth":', "a", " ", "\n", "=", ":", "/", "@", '"', "password value", "password (x) (x) (x) (x) (x) to ",
    "|", "| password ", "| password |\n", "| password | a |\n", "|---|\n", "| secret token | x1 y2 ", "docker login ",
    "docker login -u a -p", " -u a", " -u a -p ", "http -a ", "htpasswd -nb a ", "mysql \\\n", "zip -P ", "ldapadd -w",
)  # fmt: skip


def test_secrets_are_found_and_everything_else_stays() -> None:
    _report("secrets", SECRETS, KEPT, least_found=1.0, most_false=0.0)


def test_texts_that_the_rules_were_not_made_for() -> None:
    _report("secrets, held out", SECRETS_HELD_OUT, KEPT_HELD_OUT, least_found=0.88, most_false=0.01)


def _report(name: str, secrets: str, kept: str, *, least_found: float, most_false: float) -> None:
    bad, good = read(secrets), read(kept)
    missed = [sample for sample in bad if _leaks(sample)]
    false = [sample for sample in good if redact(sample.text).text != sample.text]
    print(f"{name}: {len(bad) - len(missed)} of {len(bad)} found, {len(false)} false alarms in {len(good)}")
    assert len(bad) - len(missed) >= least_found * len(bad), [sample.text for sample in missed]
    assert len(false) <= most_false * len(good), [sample.text for sample in false]


def _leaks(sample: Sample) -> bool:
    text = redact(sample.text).text
    return any(secret in text for secret in sample.marked)


def test_the_sets_are_large_enough_to_mean_something() -> None:
    assert len(read(SECRETS)) >= 150
    assert len(read(KEPT)) >= 250
    assert all(sample.marked for sample in [*read(SECRETS), *read(SECRETS_HELD_OUT)])


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_it_does_not_hang_on_which_secrets_were_drawn(seed: int) -> None:
    assert [sample.text for sample in read(SECRETS, seed) if _leaks(sample)] == []


def test_redacting_again_changes_nothing() -> None:
    draw = random.Random(7)
    texts = [sample.text for name in (SECRETS, KEPT, SECRETS_HELD_OUT, KEPT_HELD_OUT) for sample in read(name)]
    joined = [draw.choice([" ", "\n", "", ", "]).join(draw.sample(texts, 4)) for _ in range(400)]
    for text in [*texts, *joined]:
        once = redact(text)
        assert redact(once.text) == Redacted(once.text), text


def test_what_stands_around_a_secret_stays_to_the_letter() -> None:
    for sample in read(SECRETS):
        if len(sample.marked) == 1:
            before, _, after = sample.text.partition(sample.marked[0])
            text = redact(f"Grüße 🔐\n{before}{sample.marked[0]}{after}\n– ‮ ende").text
            assert text.startswith("Grüße 🔐\n")
            assert text.endswith("\n– ‮ ende")
            assert re.search(r"\[redacted:[a-z_]+\]", text)


def test_it_tells_the_kinds_in_the_order_of_the_text() -> None:
    text = redact("postgres://app:Tr0ub4dor3@db then password=Xk29dk3mQ and " + "ghp_" + "a1B2" * 9)
    assert text.kinds == ("password", "password", "github_token")
    assert text.text == (
        "postgres://app:[redacted:password]@db then password=[redacted:password] and [redacted:github_token]"
    )


def test_text_without_secrets_is_the_very_same() -> None:
    text = "ADR-001: we use Postgres."
    assert redact(text).text is text


@pytest.mark.parametrize("text", ["", "İİİİ PASSWORD=Xk29dk3mQ", "\ud800 password=Xk29dk3mQ", "\0password=Xk29dk3mQ"])
def test_no_text_is_too_odd(text: str) -> None:
    assert "Xk29dk3mQ" not in redact(text).text


def test_long_secrets_go_to_their_end() -> None:
    token = "".join(random.Random(1).choices("abcdefXYZ0123456789", k=5_000))
    assert redact(f"token={token} next").text == "token=[redacted:token] next"
    assert redact(f"password={token}").text == "password=[redacted:password]"


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_a_hostile_mebibyte_is_read_to_its_end(text: str) -> None:
    """A pattern that tried again from every place would not come back within the time that a test has."""
    whole = text * (MIB // 8 // len(text))
    assert len(redact(whole).text) <= len(whole) * 3


def test_no_pattern_may_give_back_what_it_took_without_a_bound() -> None:
    """What repeats without a bound is possessive, so that time grows with the length of a text and no faster."""
    patterns = [shape.pattern for table in (WORDS, FRAMES) for shape in table.table]
    for pattern in [*patterns, NAMED, *(re.compile(command) for _, command in (*COMMANDS, *GUESSES))]:
        tree = PARSER.parse(pattern.pattern, pattern.flags & ~re.UNICODE)
        assert list(_unbounded(tree)) == [], pattern.pattern


def _unbounded(tree: Any) -> Iterator[str]:
    """Repeats without an upper bound that may be tried again with less."""
    for operation, argument in tree:
        if str(operation) in ("MAX_REPEAT", "MIN_REPEAT") and argument[1] == PARSER.MAXREPEAT:
            yield str(argument)
        yield from _inner(argument)


def _inner(argument: Any) -> Iterator[str]:
    if isinstance(argument, PARSER.SubPattern):
        yield from _unbounded(argument)
    elif isinstance(argument, list | tuple):
        for part in argument:
            yield from _inner(part)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password", True), ("DB_PASSWORD", True), ("db.password", True), ("x-api-key", True), ("Authorization", True),
        ("cookie", True), ("client_secret", True), ("SECRET_KEY_BASE", True), ("access_token", True),
        ("token_count", False), ("max_tokens", False), ("tokens_used", False), ("key", False), ("cache_key", False),
        ("principal", False), ("password_length", False), ("request_id", False),
    ],
)  # fmt: skip
def test_names_that_make_a_secret_of_their_value(name: str, secret: bool) -> None:
    assert is_secret_name(name) is secret


def test_what_stands_for_a_secret_is_known() -> None:
    for text in ("${TOKEN}", "<token>", "xxxx", "****", "changeme", "your-key", "{{ key }}"):
        assert STAND_IN.fullmatch(text), text
