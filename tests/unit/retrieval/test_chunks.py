"""Passages cover the text, fit the window, and are cut where people pause."""

import re
from bisect import bisect_left
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from context_retrieval.chunks import Cutter, Span, lay_out, rough_starts
from context_retrieval.model import Document, Key, Section
from context_retrieval.passages import MOST_WINDOWS, Text, windows
from tests.support.retrieval import PIECE

TEXTS = st.text(alphabet=st.sampled_from("ab. \n!,日本é"), max_size=600) | st.text(max_size=300)


def starts_of(text: str) -> list[int]:
    return [match.start() for match in PIECE.finditer(text)]


def size(starts: list[int], span: Span) -> int:
    return bisect_left(starts, span.stop) - bisect_left(starts, span.start)


@given(TEXTS, st.integers(2, 40), st.integers(0, 20))
def test_passages_cover_the_text_and_fit_the_window(text: str, room: int, overlap: int) -> None:
    starts = starts_of(text)
    spans = Cutter(text, starts, room, overlap).spans()
    assert spans[0].start == 0
    assert spans[-1].stop == len(text)
    for before, after in pairwise(spans):
        assert before.start < after.start <= before.stop < after.stop
        assert after.start >= before.start
    assert all(size(starts, span) <= room for span in spans)


@given(TEXTS, st.integers(6, 40), st.integers(0, 20))
def test_neighbours_share_no_more_than_the_overlap(text: str, room: int, overlap: int) -> None:
    starts = starts_of(text)
    spans = Cutter(text, starts, room, overlap).spans()
    for before, after in pairwise(spans):
        assert size(starts, Span(after.start, before.stop)) <= overlap


def test_a_text_is_cut_between_sentences_and_the_last_one_is_said_again() -> None:
    sentences = [f"Sentence number {number} says some thing of its own." for number in range(40)]
    text = " ".join(sentences)
    spans = Cutter(text, starts_of(text), 60, 15).spans()
    assert len(spans) > 5
    for before, after in pairwise(spans):
        assert text[before.start : before.stop].rstrip().endswith(".")
        assert text[after.start :].startswith("Sentence")
        assert after.start < before.stop


def test_a_paragraph_is_a_better_place_than_a_sentence_and_a_field_the_best() -> None:
    body = "One two three. Four five six. " * 3
    text = f"{body}\n\n{body}\n\n{body}"
    starts = starts_of(text)
    room = size(starts, Span(0, len(body) + 2 + 20))
    assert Cutter(text, starts, room, 0).spans()[0].stop == len(body) + 2
    field = len("One two three. Four five six. ") * 2
    assert Cutter(text, starts, room, 0).spans([field])[0].stop == field


def test_a_long_word_is_cut_all_the_same() -> None:
    text = "x" * 1000
    spans = Cutter(text, starts_of(text), 20, 5).spans()
    assert "".join(text[span.start : span.stop] for span in spans).count("x") >= 1000
    assert all(size(starts_of(text), span) <= 20 for span in spans)


def test_a_heading_of_another_field_is_none_of_this_one() -> None:
    layout = lay_out([Section("Context", "# Why\nBecause."), Section("Decision", "Use it. We do.")])
    assert layout.heading(layout.text.index("Because")) == "Context: Why"
    assert layout.heading(layout.text.index("We do")) == "Decision"


def test_fields_stand_under_their_labels_and_headings_are_found() -> None:
    layout = lay_out([Section("Decision", "Use it."), Section("Context", "# Why\nBecause.\n## Cost\nIt is cheap.")])
    assert layout.text == "Decision:\nUse it.\n\nContext:\n# Why\nBecause.\n## Cost\nIt is cheap."
    assert layout.heading(0) == ""
    assert layout.heading(layout.text.index("Use it")) == "Decision"
    assert layout.heading(layout.text.index("Because")) == "Context: Why"
    assert layout.heading(layout.text.index("It is")) == "Context: Cost"


def text_of(**payload: object) -> Text:
    return Text(Document(Key("web", "ADR-001"), 1, type="adr", title="Use Postgres", payload=payload))


@given(st.text(alphabet="abc .\n", max_size=2000), st.text(alphabet="abc .\n", max_size=500))
def test_every_passage_fits_the_window_under_its_title_and_heading(decision: str, context: str) -> None:
    text = text_of(decision=decision, context=context)
    passages = text.passages(128, starts_of(text.title), starts_of(text.layout.text))
    assert all(len(starts_of(passage.embedded)) + 2 <= 128 for passage in passages)
    assert all(passage.embedded.startswith("Use Postgres") for passage in passages)


def test_every_word_of_every_field_is_in_a_passage() -> None:
    words = [f"word{number}" for number in range(2000)]
    text = text_of(decision=" ".join(words[:1000]), consequences=". ".join(words[1000:]))
    passages = text.passages(64, starts_of(text.title), starts_of(text.layout.text))
    said = {word for passage in passages for word in re.findall(r"word\d+", passage.text)}
    assert said == set(words)


def test_later_passages_say_what_field_they_are_from() -> None:
    text = text_of(decision="Short.", context="A long story about it. " * 60)
    passages = text.passages(64, starts_of(text.title), starts_of(text.layout.text))
    assert all("\nContext\n" in passage.embedded for passage in passages[1:])


def test_an_item_without_text_is_embedded_by_its_title() -> None:
    assert [passage.embedded for passage in text_of().rough_passages()] == ["Use Postgres"]


def test_a_word_that_is_one_token_however_long_is_cut_all_the_same() -> None:
    text = text_of(decision="m" * 100_000, context="Said before. " * 10 + " " * 50_000 + "Said after.")
    passages = text.passages(256, [0, 4], [0, 10, 100_012, 100_020, 150_170])
    assert max(len(passage.embedded) for passage in passages) < 40_000
    assert sum(passage.text.count("m") for passage in passages) >= 100_000
    assert "Said after." in passages[-1].text


@given(st.text(max_size=200))
def test_rough_tokens_lie_within_the_text(text: str) -> None:
    starts = rough_starts(text)
    assert starts == sorted(set(starts))
    assert all(0 <= start < len(text) for start in starts)


def test_of_a_very_long_question_beginning_and_end_are_read() -> None:
    words = [f"word{number}." for number in range(1500)]
    assert windows(" ".join(words[:20])) == [" ".join(words[:20])]
    pieces = windows(" ".join(words))
    assert len(pieces) == MOST_WINDOWS
    assert pieces[0].startswith("word0.")
    assert pieces[-1].endswith("word1499.")
