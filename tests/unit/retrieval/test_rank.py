"""Relevance decides; everything else only nudges, within its bound."""

import math
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_retrieval.crowd import Bar, bar
from context_retrieval.model import Candidate, Expansion, Key, Link
from context_retrieval.rank import BESIDE, Mode, Ranker, Scale, importance_of

TODAY = date(2026, 11, 23)
SCALE = Scale()
FLOOR = SCALE.floor(60)
BASE = Candidate(
    key=Key("web", "FAIL-001"),
    type="failure",
    status="resolved",
    in_force=True,
    item_date=TODAY,
    pinned=False,
    severity="medium",
    access_count=0,
    feedback=0.0,
    provenance="human",
    vouched=True,
    references=0,
    cosine=0.4,
    lexical=0.4,
    covered=0.4,
    named=False,
    coded=False,
)
CANDIDATES = st.builds(
    Candidate,
    key=st.builds(Key, st.just("web"), st.sampled_from([f"ADR-{n:03d}" for n in range(9)])),
    type=st.sampled_from(["adr", "failure", "meeting", "snapshot"]),
    status=st.just("active"),
    in_force=st.booleans(),
    item_date=st.dates(date(1990, 1, 1), date(2050, 1, 1)),
    pinned=st.booleans(),
    severity=st.sampled_from(["", "low", "medium", "high", "critical"]),
    access_count=st.integers(0, 10**9),
    feedback=st.floats(-1, 1),
    provenance=st.sampled_from(["human", "agent", "import", "event"]),
    vouched=st.booleans(),
    references=st.integers(0, 10**6),
    cosine=st.none() | st.floats(-1, 1),
    lexical=st.floats(0, 1),
    covered=st.floats(0, 1),
    named=st.booleans(),
    coded=st.booleans(),
)


def ranker(mode: Mode = Mode.HYBRID) -> Ranker:
    return Ranker(SCALE, mode, TODAY, FLOOR)


def score(**changes: object) -> float:
    return ranker().score(replace(BASE, **changes)).score  # type: ignore[arg-type]


@given(CANDIDATES, st.sampled_from(Mode))
def test_every_part_of_a_score_is_from_0_to_1(candidate: Candidate, mode: Mode) -> None:
    scored = ranker(mode).score(candidate)
    parts = (scored.score, scored.relevance, scored.semantic, scored.keyword, scored.recency, scored.importance)
    assert all(0 <= part <= 1 for part in parts)


@given(CANDIDATES, CANDIDATES)
def test_recency_and_importance_never_beat_a_clear_lead_in_relevance(one: Candidate, other: Candidate) -> None:
    bare = Ranker(replace(SCALE, nudge=0.0), Mode.HYBRID, TODAY, FLOOR)
    if bare.score(one).score * (1 - SCALE.nudge) > bare.score(other).score and not other.named:
        assert ranker().score(one).score > ranker().score(other).score


@given(CANDIDATES, st.floats(0, 1), st.floats(0, 1))
def test_more_evidence_never_lowers_a_score(candidate: Candidate, cosine: float, lexical: float) -> None:
    candidate = replace(candidate, cosine=candidate.cosine or 0.0)
    better = replace(candidate, cosine=max(cosine, candidate.cosine or 0), lexical=max(lexical, candidate.lexical))
    assert ranker().score(better).score >= ranker().score(candidate).score


def test_agreement_of_both_kinds_of_evidence_counts_for_more_than_either() -> None:
    assert score() > score(cosine=0.0) > 0
    assert score() > score(lexical=0.0) > 0


def test_a_match_by_either_kind_alone_is_above_the_floor() -> None:
    for evidence in ({"cosine": 0.5, "lexical": 0.0}, {"cosine": 0.11, "lexical": 0.2, "covered": 0.9}):
        assert ranker().score(replace(BASE, **evidence)).relevance >= FLOOR  # type: ignore[arg-type]


def test_common_words_count_for_less_where_the_meaning_is_another() -> None:
    assert ranker().score(replace(BASE, cosine=0.05, lexical=0.45)).relevance < FLOOR
    assert ranker().score(replace(BASE, cosine=0.3, lexical=0.45)).relevance > FLOOR


def test_what_has_no_vector_yet_is_judged_by_its_words() -> None:
    assert ranker().score(replace(BASE, cosine=None, lexical=0.9)).relevance == 0.9


def test_what_has_little_to_do_with_the_question_is_below_the_floor() -> None:
    assert ranker().score(replace(BASE, cosine=0.2, lexical=0.1)).relevance < FLOOR


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_of_more_documents_the_best_has_to_be_better_up_to_a_bound(one: int, other: int) -> None:
    few, many = sorted((one, other))
    assert 0 < SCALE.floor(few) <= SCALE.floor(many) <= SCALE.most_floor


def test_a_crowd_of_what_nobody_vouches_for_raises_no_floor_for_the_rest() -> None:
    weak = ranker().score(replace(BASE, cosine=0.28, lexical=0.1))
    least = bar([weak], Bar(vouched=0.18, unvouched=0.25), 0.1)
    assert 0.18 <= weak.relevance < 0.25
    assert least.vouched <= weak.score
    assert least.unvouched == math.inf


def test_a_newer_incident_comes_before_an_older_equal_one() -> None:
    ages = [score(item_date=TODAY - timedelta(days=days)) for days in (0, 30, 180, 2000)]
    assert ages == sorted(ages, reverse=True)
    assert len(set(ages)) == 4


def test_a_date_to_come_gains_nothing() -> None:
    assert score(item_date=TODAY + timedelta(days=90)) == score(item_date=TODAY - timedelta(days=90))


def test_a_decision_in_force_does_not_age_and_one_that_is_not_does() -> None:
    old = TODAY - timedelta(days=3000)
    assert score(type="adr", item_date=old) == score(type="adr")
    assert score(type="adr", item_date=old, in_force=False) < score(type="adr", in_force=False)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"severity": "low"}, {"severity": "critical"}),
        ({"references": 0}, {"references": 5}),
        ({"access_count": 0}, {"access_count": 50}),
        ({"feedback": 0.0}, {"feedback": 0.25}),
        ({"feedback": -0.25}, {"feedback": 0.0}),
        ({"provenance": "event", "vouched": False}, {"provenance": "event", "vouched": True}),
        ({"pinned": False}, {"pinned": True}),
    ],
)
def test_what_matters_more_comes_first(less: dict[str, object], more: dict[str, object]) -> None:
    assert score(**less) < score(**more)


@given(CANDIDATES, CANDIDATES)
def test_feedback_never_beats_a_clear_lead(one: Candidate, other: Candidate) -> None:
    bare = Ranker(replace(SCALE, feedback=0.0), Mode.HYBRID, TODAY, FLOOR)
    least, most = 1 - SCALE.feedback, 1 + SCALE.feedback
    if bare.score(one).score * least > bare.score(other).score * most and not other.named:
        assert ranker().score(one).score >= ranker().score(other).score


@given(CANDIDATES, st.floats(-1, 1))
def test_feedback_neither_makes_an_answer_nor_takes_one_away(candidate: Candidate, said: float) -> None:
    assert ranker().relevance(replace(candidate, feedback=said)) == ranker().relevance(candidate)


def test_who_asks_for_meaning_alone_gets_it_whatever_was_said() -> None:
    scores = {ranker(Mode.SEMANTIC).score(replace(BASE, feedback=said)).score for said in (-1.0, 0.0, 1.0)}
    assert len(scores) == 1


@given(CANDIDATES)
def test_importance_is_bounded(candidate: Candidate) -> None:
    assert 0 <= importance_of(candidate) <= 1


def test_what_is_asked_for_by_its_id_comes_first() -> None:
    named = replace(BASE, key=Key("web", "ADR-009"), named=True, cosine=0.0, lexical=0.0)
    best = replace(BASE, cosine=1.0, lexical=1.0, pinned=True)
    assert [hit.key.item_id for hit in ranker().rank([best, named])] == ["ADR-009", "FAIL-001"]


def test_what_has_the_exact_code_comes_before_what_is_only_alike() -> None:
    coded = replace(BASE, key=Key("web", "FAIL-002"), coded=True, cosine=0.15, lexical=0.3)
    alike = replace(BASE, cosine=0.7, lexical=0.5)
    assert ranker().rank([alike, coded])[0].key.item_id == "FAIL-002"


def test_modes_look_at_their_own_evidence() -> None:
    assert ranker(Mode.SEMANTIC).score(replace(BASE, lexical=1.0)).relevance == pytest.approx(0.3 / 0.7)
    assert ranker(Mode.KEYWORD).score(replace(BASE, cosine=1.0)).relevance == pytest.approx(0.4)


def reached(*links: Link, others: list[Candidate], successors: tuple[Link, ...] = ()) -> Expansion:
    return Expansion({}, {other.key: other for other in others}, successors, links)


@given(CANDIDATES, st.floats(0, 1))
def test_a_neighbour_never_ranks_above_what_led_to_it(neighbour: Candidate, strength: float) -> None:
    lead = ranker().score(BASE)
    other = replace(neighbour, key=Key("web", "ADR-777"), named=False)
    link = Link(BASE.key, other.key, "caused_by", strength)
    hits = ranker().reach([lead], reached(link, others=[other]))
    found = {hit.key.item_id: hit for hit in hits}
    assert found["ADR-777"].score <= lead.score
    assert found["ADR-777"].via == BASE.key
    assert hits[0].score == lead.score


def test_a_stronger_edge_brings_more() -> None:
    lead = ranker().score(BASE)
    other = replace(BASE, key=Key("web", "ADR-777"), cosine=0.0, lexical=0.0)

    def brought(kind: str, strength: float) -> float:
        link = Link(BASE.key, other.key, kind, strength)
        return ranker().reach([lead], reached(link, others=[other]))[1].score

    assert brought("caused_by", 1.0) > brought("caused_by", 0.5) > brought("caused_by", 0.1)
    assert brought("caused_by", 1.0) > brought("related_to", 1.0)


def test_a_hit_brings_its_few_best_neighbours_of_either_trust() -> None:
    lead = ranker().score(BASE)
    others = [
        replace(BASE, key=Key("web", f"ADR-{number:03d}"), cosine=(number - 500) / 60, vouched=number % 2 == 0)
        for number in range(500, 520)
    ]
    links = [Link(BASE.key, other.key, "references", 1.0) for other in others]
    brought = {hit.key.item_id for hit in ranker().reach([lead], reached(*links, others=others))[1:]}
    best = {f"ADR-{number}" for number in range(520 - 2 * BESIDE, 520)}
    assert brought == best


def test_a_successor_takes_the_place_of_what_it_replaces() -> None:
    old = ranker().score(replace(BASE, in_force=False, status="superseded"))
    new = replace(BASE, key=Key("web", "ADR-777"), cosine=0.0, lexical=0.0)
    succession = Link(BASE.key, new.key, "supersedes", 1.0)
    hits = ranker().reach([old], reached(others=[new], successors=(succession,)))
    successor = next(hit for hit in hits if hit.key == new.key)
    assert (successor.score, successor.replaces) == (old.score, ("FAIL-001",))


def test_a_successor_that_matches_itself_keeps_the_better_score() -> None:
    old = ranker().score(replace(BASE, in_force=False, status="superseded"))
    new = ranker().score(replace(BASE, key=Key("web", "ADR-777"), cosine=0.7, lexical=0.9))
    succession = Link(BASE.key, new.key, "supersedes", 1.0)
    hits = ranker().reach([new, old], reached(others=[new.candidate], successors=(succession,)))
    assert hits[0].key == new.key
    assert (hits[0].score, hits[0].replaces) == (new.score, ("FAIL-001",))


def test_the_one_that_has_the_word_comes_first_where_nothing_means_what_is_asked() -> None:
    has_it = replace(BASE, key=Key("web", "ADR-001"), cosine=0.01, bm25=1.9)
    others = [replace(BASE, key=Key("web", f"ADR-{n:03d}"), cosine=0.12, bm25=0.0) for n in range(2, 6)]
    assert ranker().beside([has_it, *others]).rank([has_it, *others])[0].candidate is has_it
    # Where one of them means it well, the word alone is not enough.
    meant = replace(others[0], cosine=0.6)
    assert ranker().beside([has_it, meant]).rank([has_it, meant])[0].candidate is meant


def test_what_a_code_adds_to_one_item_is_none_of_the_others() -> None:
    has_it = replace(BASE, key=Key("web", "FAIL-001"), cosine=0.3, lexical=0.2, bm25=1.0)
    other = replace(BASE, key=Key("web", "FAIL-002"), cosine=0.25, lexical=0.1, bm25=0.5)
    alone = ranker().beside([has_it, other]).score(other).score
    coded = replace(has_it, coded=True)
    beside = ranker().beside([coded, other])
    assert beside.score(other).score == alone
    assert beside.score(coded).score > ranker().beside([has_it, other]).score(has_it).score


def test_by_meaning_alone_what_is_nearest_comes_first_however_old() -> None:
    near = replace(BASE, key=Key("web", "FAIL-001"), cosine=0.500, item_date=TODAY - timedelta(3000))
    far = replace(BASE, key=Key("web", "FAIL-002"), cosine=0.499)
    for candidates in ([near, far], [far, near]):
        assert ranker(Mode.SEMANTIC).beside(candidates).rank(candidates)[0].candidate is near
        assert ranker().beside(candidates).rank(candidates)[0].candidate is far
