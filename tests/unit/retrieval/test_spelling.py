"""Which words may be mistyped, and what is near to them."""

import pytest

from context_retrieval.spelling import capitals, common, doubtful, near


def test_ordinary_words_may_be_mistyped_the_longest_first() -> None:
    assert doubtful("Kuberntes, or the paymnt worker?") == ("kuberntes", "paymnt", "worker")


@pytest.mark.parametrize(
    "text",
    [
        "ADR-777",
        "PAYREFUSDE",
        "EACCESS",
        "storeitem_py",
        "store.itemx",
        "stores/itemss",
        "long-livd",
        "UserServcie",
        "proces4",
        "Größenordnug",
        "typo",
        "a" * 25,
    ],
)
def test_codes_and_parts_of_identifiers_are_what_they_are(text: str) -> None:
    assert doubtful(text) == ()


def test_words_in_capitals_may_be_codes() -> None:
    assert capitals("PAYREFUSED, or STOCKLOCKED. PAY NATS ABC_DEFGHI X-REFUSED Refused") == (
        "PAYREFUSED",
        "STOCKLOCKED",
    )


def test_the_end_of_a_sentence_is_no_part_of_a_word() -> None:
    assert doubtful("No deadlok. (Deadlok!)") == ("deadlok",)


@pytest.mark.parametrize("word", ["exhausted", "flights", "lisbon", "tomato", "cases"])
def test_what_is_common_is_no_mistake(word: str) -> None:
    assert common(word)


@pytest.mark.parametrize("word", ["deadlok", "kuberntes", "postgress", "paymnt"])
def test_what_nobody_writes_may_be_one(word: str) -> None:
    assert not common(word)


def test_one_edit_away_is_a_letter_more_or_less_or_another_or_two_in_each_others_place() -> None:
    words = list(near("deadlok"))
    assert {"deadlock", "deadlo", "dadlok", "deedlok", "daedlok", "deadloks"} <= set(words)
    assert not {"deadlok", "deadblocks", "eadlok", "headlok", "edadlok"}.intersection(words)
