"""The figures that answers are judged by."""

import pytest

from tests.quality.figures import ndcg, recall, reciprocal_rank


def test_a_right_first_answer_is_perfect_and_a_later_one_less() -> None:
    assert ndcg(["a", "b"], {"a"}) == 1
    assert ndcg(["b", "a"], {"a"}) == pytest.approx(0.63, abs=0.01)
    assert ndcg(["b"] * 10 + ["a"], {"a"}) == 0


def test_several_right_answers_are_perfect_where_nothing_else_stands_between_them() -> None:
    assert ndcg(["a", "b", "c"], {"a", "b"}) == pytest.approx(1)
    assert ndcg(["a", "c", "b"], {"a", "b"}) < 1


def test_recall_counts_what_was_found_and_the_reciprocal_rank_where_first() -> None:
    assert recall(["a", "c"], {"a", "b"}) == 0.5
    assert reciprocal_rank(["c", "a"], {"a"}) == 0.5
    assert reciprocal_rank(["c"], {"a"}) == 0
