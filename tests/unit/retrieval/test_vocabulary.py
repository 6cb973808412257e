"""What a question's words weigh, and when it is asked again how rare they are."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import cast
from unittest.mock import ANY

import pytest

from context_retrieval import vocabulary
from context_retrieval.analysis import analyse
from context_retrieval.model import Counted, Weights
from context_retrieval.spelling import capitals, doubtful
from context_retrieval.store import Reader
from context_retrieval.vocabulary import Vocabulary

DOCUMENTS = {
    "postgr": 10,
    "pool": 50,
    "timeout": 5,
    "common": 900,
    "often": 800,
    "adr-7": 1,
    "adr": 300,
    "7": 9,
    "pick": 40,
    "9": 9,
    "80": 9,
    "k8s": 2,
    "kubernetes": 50,
    "authentication": 20,
    "payrefused": 2,
    "shoutedword": 2,
    "oftenshouted": 30,
    "exhausted": 1,
}
STOP = ("the", "before")
CAPITALS = {"PAYREFUSED"}


class Counting:
    """Knows how Postgres stems a few words, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], list[str]]] = []

    async def terms(self, namespaces: Sequence[str], words: Sequence[str], wholes: Sequence[str]) -> Counted:
        self.asked.append((list(words), list(wholes)))
        stems = {
            word: () if word in ("the", "before") else ("postgr" if word == "postgres" else word,) for word in words
        }
        known = {lexeme for stem in stems.values() for lexeme in stem} | set(wholes)
        return Counted(stems, {lexeme: DOCUMENTS.get(lexeme, 0) for lexeme in known})

    async def in_capitals(self, namespaces: Sequence[str], words: Mapping[str, str]) -> set[str]:
        self.asked.append((list(words), list(words.values())))
        return CAPITALS & words.keys()


async def weigh(index: Counting, words: Vocabulary, query: str, codes: Sequence[str] = ()) -> Weights:
    said = replace(analyse(query), doubtful=doubtful(query), capitals=capitals(query))
    return await words.weigh(cast("Reader", index), ("web",), 1000, said, codes)


def number(term: str) -> int:
    return int(hashlib.md5(term.encode(), usedforsecurity=False).hexdigest()[:7], 16)


async def test_rare_words_weigh_more_and_words_that_follow_each_other_count_as_a_pair() -> None:
    weights = await weigh(Counting(), Vocabulary(), "postgres the pool timeout")
    rarities = [weights.impacts[number(lexeme)] for lexeme in ("timeout", "postgr", "pool")]
    assert rarities == sorted(rarities, reverse=True)
    assert weights.impacts[number("postgr pool")] == pytest.approx(vocabulary.PAIR * (rarities[1] + rarities[2]) / 2)
    assert number("pool postgr") not in weights.impacts
    assert number("postgr timeout") not in weights.impacts
    assert weights.attainable == pytest.approx(sum(rarities))


async def test_what_only_says_what_is_asked_for_weighs_little() -> None:
    asked = await weigh(Counting(), Vocabulary(), "why did they pick the pool")
    said = await weigh(Counting(), Vocabulary(), "they pick the pool")
    assert asked.impacts[number("pick")] == pytest.approx(vocabulary.ASIDE * said.impacts[number("pick")])
    assert asked.impacts[number("pool")] == said.impacts[number("pool")]


async def test_numbers_beside_each_other_are_no_pair_and_weigh_little() -> None:
    apart = await weigh(Counting(), Vocabulary(), "pool 7 timeout 9")
    beside = await weigh(Counting(), Vocabulary(), "pool 7.9 timeout")
    assert number("7 9") not in beside.impacts
    assert number("pool 7") in beside.impacts
    for one in ("7", "9"):
        assert beside.impacts[number(one)] == pytest.approx(vocabulary.ASIDE * apart.impacts[number(one)])


async def test_words_that_mean_the_same_are_looked_for_and_count_once() -> None:
    weights = await weigh(Counting(), Vocabulary(), "k8s timeout")
    k8s, kubernetes = (weights.impacts[number(one)] for one in ("k8s", "kubernetes"))
    # However rare the one is, it is as common as the other: a mention in full is worth nearly as much.
    assert kubernetes == pytest.approx(vocabulary.OTHER * k8s)
    assert k8s == pytest.approx((await weigh(Counting(), Vocabulary(), "pool")).impacts[number("pool")])
    assert weights.attainable == pytest.approx(k8s + weights.impacts[number("timeout")])
    assert weights.chosen[0] == "'k8s' | 'timeout' | 'kubernetes'"
    assert set(weights.lexemes) == {"k8s", "timeout", "kubernetes"}


async def test_where_the_word_that_is_asked_stands_nowhere_another_counts_in_its_place() -> None:
    weights = await weigh(Counting(), Vocabulary(), "authn")
    assert weights.attainable == pytest.approx(weights.impacts[number("authentication")])
    assert weights.chosen[0] == "'authn' | 'authentication'"
    assert (await weigh(Counting(), Vocabulary(), "authz")).lexemes == {}


async def test_of_words_that_mean_the_same_a_document_needs_but_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for word in ("k8s", "kubernetes"):
        monkeypatch.setitem(DOCUMENTS, word, 700)
    assert (await weigh(Counting(), Vocabulary(), "k8s often")).chosen[0] == "('k8s' & 'often')"


async def test_a_word_is_asked_about_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(vocabulary, "time", SimpleNamespace(monotonic=lambda: now))
    index, words = Counting(), Vocabulary()
    for _ in range(3):
        await weigh(index, words, "postgres pool")
    await weigh(index, words, "pool timeout")
    assert index.asked == [(["postgres", "pool", "pg", "postgresql"], []), (["timeout"], [])]
    now += vocabulary.REMEMBERED + 1
    await weigh(index, words, "pool timeout")
    assert index.asked[2:] == [(["pool", "timeout"], [])]


async def test_a_word_that_stands_nowhere_is_looked_for_all_the_same_and_soon_asked_about_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(vocabulary, "time", SimpleNamespace(monotonic=lambda: now))
    index, words = Counting(), Vocabulary()
    weights = await weigh(index, words, "postgres QUOKKA")
    assert all("'quokka'" in chosen for chosen in weights.chosen)
    assert set(weights.lexemes) == {"postgr"}
    now += vocabulary.REMEMBERED_ABSENT + 0.1
    await weigh(index, words, "postgres QUOKKA")
    assert index.asked[1:] == [(["quokka"], [])]


async def test_a_word_that_stands_nowhere_is_taken_for_the_one_that_is_near_to_it_and_weighs_less() -> None:
    meant, typed = [await weigh(Counting(), Vocabulary(), f"pool {word}") for word in ("timeout", "timeuot")]
    assert typed.impacts[number("timeout")] == pytest.approx(vocabulary.MISTYPED * meant.impacts[number("timeout")])
    assert typed.impacts[number("pool timeout")] < meant.impacts[number("pool timeout")]
    assert set(typed.lexemes) == {"pool", "timeout"}
    assert typed.attainable == pytest.approx(sum(typed.impacts[number(one)] for one in ("pool", "timeout")))
    # A document may have come that has what was written.
    assert typed.chosen[0] == "'timeuot' | 'timeout' | 'pool'"


async def test_what_is_written_as_it_stands_weighs_as_much_beside_its_mistake() -> None:
    plain, both = [await weigh(Counting(), Vocabulary(), f"timeout {word}") for word in ("pool", "timeuot")]
    assert both.impacts[number("timeout")] == plain.impacts[number("timeout")]


@pytest.mark.parametrize(
    "typed",
    ["timexxt", "timeouts7", "TIMEUOT", "the/timeuot", "authenticati"],
    ids=["two edits", "digits", "a code", "a part", "two edits in a long one"],
)
async def test_what_is_far_from_every_word_or_names_something_stays_unknown(typed: str) -> None:
    assert "timeout" not in (await weigh(Counting(), Vocabulary(), typed)).lexemes
    assert "authentication" not in (await weigh(Counting(), Vocabulary(), typed)).lexemes


async def test_nobody_knows_which_of_two_was_meant_nor_whether_a_stop_word_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DOCUMENTS, "timeoxt", 3)
    assert (await weigh(Counting(), Vocabulary(), "timeoht")).lexemes == {}
    monkeypatch.setitem(DOCUMENTS, "befroze", 3)
    assert (await weigh(Counting(), Vocabulary(), "befrze")).lexemes == {"befroze": ANY}
    assert (await weigh(Counting(), Vocabulary(), "befroe")).lexemes == {}


async def test_what_was_meant_is_looked_for_once_in_a_while_and_for_few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(vocabulary, "time", SimpleNamespace(monotonic=lambda: now))
    index, words = Counting(), Vocabulary()
    for _ in range(3):
        weights = await weigh(index, words, "postgres timeuot kuberntes")
        assert set(weights.lexemes) == {"postgr", "timeout", "kubernetes"}
        now += vocabulary.REMEMBERED_ABSENT / 2
    assert [len(asked) > 100 for asked, _ in index.asked] == [False, True, False]
    crowd = Counting()
    await weigh(crowd, Vocabulary(), " ".join(f"xxq{'v' * many}" for many in range(5, 15)))
    assert len(crowd.asked[1][0]) < 100 * 11 * vocabulary.MISTYPED_WORDS


async def test_common_words_choose_no_candidates_where_rare_ones_do() -> None:
    weights = await weigh(Counting(), Vocabulary(), "common pool timeout")
    assert weights.chosen[0] == "'timeout' | 'pool'"
    assert weights.chosen[1] == "'timeout' | 'pool' | 'common'"
    assert number("common") in weights.impacts


async def test_where_no_word_is_rare_two_of_them_must_stand_together() -> None:
    weights = await weigh(Counting(), Vocabulary(), "common often")
    assert weights.chosen[0] == "('often' & 'common')"


async def test_an_identifier_that_stands_in_few_documents_is_a_code() -> None:
    weights = await weigh(Counting(), Vocabulary(), "adr-7", ["adr-7"])
    assert number("adr-7") in weights.codes
    assert number("adr") not in weights.codes


async def test_a_rare_word_that_nobody_writes_but_in_capitals_is_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(vocabulary, "time", SimpleNamespace(monotonic=lambda: now))
    index, words = Counting(), Vocabulary()
    query = "PAYREFUSED SHOUTEDWORD OFTENSHOUTED EXHAUSTED NOWHEREATALL"
    for _ in range(2):
        assert (await weigh(index, words, query)).codes == (number("payrefused"),)
        now += vocabulary.REMEMBERED_ABSENT / 2
    assert index.asked[1:] == [(["PAYREFUSED", "SHOUTEDWORD"], ["'payrefused'", "'shoutedword'"])]
    assert (await weigh(index, words, "payrefused")).codes == ()


async def test_quotes_in_words_stay_in_words() -> None:
    index = Counting()
    weights = await weigh(index, Vocabulary(), "it's o'brien\\")
    assert weights.chosen[0].replace("''", "").count("'") % 2 == 0


@pytest.mark.parametrize("bound", ["STEMS", "COUNTS"])
async def test_what_is_full_is_begun_anew_and_no_question_loses_a_word(
    monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    index = Counting()
    wanted = await weigh(index, Vocabulary(), "pool timeout")
    monkeypatch.setattr(vocabulary, bound, 0)
    words = Vocabulary()
    await weigh(index, words, "postgres pool")
    for _ in range(2):
        assert await weigh(index, words, "pool timeout") == wanted


async def test_what_is_remembered_has_a_bound_over_all_namespaces_and_goes_with_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(vocabulary, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(vocabulary, "COUNTS", 1000)
    monkeypatch.setattr(vocabulary, "LONGEST", 12)
    words = Vocabulary()
    known = {f"known{n}": 1 for n in range(20)}
    for lexeme in known:
        monkeypatch.setitem(DOCUMENTS, lexeme, 1)
    for number_ in range(300):
        said = analyse(" ".join([*known, *(f"absent{number_}n{n}" for n in range(20)), "x" * 13]))
        await words.weigh(cast("Reader", Counting()), (f"space{number_}",), 1000, said, [])
    assert 500 <= len(words._counts) <= 1000
    assert len(words._absent) <= 100
    assert "x" * 13 not in words._stems
    now += vocabulary.REMEMBERED + 0.1
    await weigh(Counting(), words, "pool")
    assert (len(words._counts), len(words._absent)) == (1, 0)


async def test_common_words_choose_together_as_far_as_few_documents_have_them_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    common = {"alpha": 9_000, "beta": 10_000, "gamma": 11_000, "delta": 60_000, "vast": 5_000, "widest": 60_000}
    for lexeme, documents in common.items():
        monkeypatch.setitem(DOCUMENTS, lexeme, documents)

    async def chosen(query: str) -> tuple[str, str]:
        return (await Vocabulary().weigh(cast("Reader", Counting()), ("web",), 100_000, analyse(query), [])).chosen

    # Of 100,000 documents 1,800 may have the two rarest of these, and 400 the three.
    assert (await chosen("alpha beta gamma delta"))[0] == "('alpha' & 'beta' & 'gamma')"
    # So many that to weigh them all says too little for what it takes: then only where nothing else chooses.
    assert await chosen("vast widest") == ("", "('vast' & 'widest')")
    assert await chosen("alpha") == ("", "('alpha')")
    # A part stands wherever the whole does.
    monkeypatch.setitem(DOCUMENTS, "alpha.vast", 4_000)
    assert (await chosen("alpha.vast beta"))[0] == "('alpha.vast' & 'beta')"
