"""The vectors are those that sentence-transformers gives, and stay so whatever shares the batch."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from context_embedding import encoder as module
from context_embedding.encoder import Encoder, Vectors
from tests.integration.embedding import reference

SOME_LONG_TEXT = " ".join(reference.TEXTS)


@cache
def load(directory: Path, quantization: str) -> Encoder:
    return Encoder.load(directory, quantization)


def one_by_one(encoder: Encoder, texts: Sequence[str] = reference.TEXTS) -> Vectors:
    return np.concatenate([encoder.embed_now([text]) for text in texts])


def cosines(one: Vectors, other: Vectors) -> Vectors:
    return np.asarray((one * other).sum(axis=1), dtype=np.float32)


def test_the_references_span_the_window(model_dir: Path) -> None:
    encoder = load(model_dir, "int8")
    counts = [len(tokens.ids) for tokens in encoder.tokenize(reference.TEXTS)]
    assert len(counts) == len(reference.vectors()) >= 24
    assert (min(counts), max(counts)) == (3, 256)
    assert [tokens.truncated for tokens in encoder.tokenize(reference.TEXTS)].count(True) == 1


def test_fp32_agrees_with_sentence_transformers(model_dir: Path) -> None:
    found = cosines(one_by_one(load(model_dir, "fp32")), reference.vectors())
    assert found.min() >= 0.9999, found


def test_int8_agrees_with_sentence_transformers(model_dir: Path) -> None:
    found = cosines(one_by_one(load(model_dir, "int8")), reference.vectors())
    assert found.min() >= 0.98, found
    assert found.mean() >= 0.99, found


@pytest.mark.skipif(not module.multiplies_bytes(), reason="without byte products the other file gives no right vectors")
def test_processors_with_and_without_byte_products_give_the_same_vectors(
    model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for multiplies in (True, False):
        monkeypatch.setattr(module, "multiplies_bytes", lambda multiplies=multiplies: multiplies)
        encoder = Encoder.load(model_dir, "int8")
        found.append((encoder.model_id, one_by_one(encoder, reference.TEXTS[:12])))
    assert found[0][0] == found[1][0]
    assert cosines(found[0][1], found[1][1]).min() >= 0.99999


@pytest.mark.parametrize("quantization", ["fp32", "int8"])
def test_neighbours_in_a_batch_change_no_vector(model_dir: Path, quantization: str) -> None:
    encoder = load(model_dir, quantization)
    texts = [text for text in reference.TEXTS if len(text) < 600][::2]  # the longest would only take long
    assert cosines(one_by_one(encoder, texts), encoder.embed_now(texts)).min() >= 0.9999


def test_every_vector_has_length_1(model_dir: Path) -> None:
    vectors = load(model_dir, "int8").embed_now([*reference.TEXTS[:16], "", " ", "\0\t"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("text", [SOME_LONG_TEXT * 20, " " * 50_000 + "late", "x" * 20_000, "a-b " * 30_000])
def test_a_long_text_is_cut_as_if_all_of_it_had_been_read(model_dir: Path, text: str) -> None:
    encoder = load(model_dir, "int8")
    whole = encoder._tokenizer.encode(text).ids
    (cut,) = encoder.tokenize([text])
    assert cut.truncated == (len(whole) > 256)
    assert cut.ids == (whole if len(whole) <= 256 else [*whole[:255], whole[-1]])
