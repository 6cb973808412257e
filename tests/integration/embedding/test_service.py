"""The embedding service over the wire: what it answers, refuses, streams and drops."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from tokenizers import Tokenizer

from context.v1 import embedding_pb2 as pb
from context.v1 import embedding_pb2_grpc as rpc
from context_common import caller
from context_common.client import call, connect, stream
from context_common.errors import Invalid, Overloaded
from context_embedding import files
from context_local.health import free_ports
from tests.integration.embedding.conftest import SERVICE
from tests.integration.embedding.reference import TEXTS, vectors
from tests.support import loopback
from tests.support.model import embedding_service
from tests.support.trust import admin, trust

Stub: TypeAlias = "rpc.EmbeddingServiceAsyncStub"
LONG = "The ledger keeps every posting twice. " * 60


async def embed(stub: Stub, *texts: str) -> pb.EmbedResponse:
    return await call(stub.Embed, pb.EmbedRequest(texts=texts), within=30)


def vector(one: pb.Embedding) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    return np.frombuffer(one.vector, "<f4")


async def test_it_says_which_model_it_is(embedding: Stub, model_dir: Path) -> None:
    answer = await call(embedding.DescribeModel, pb.DescribeModelRequest(), within=5)
    digest = files.digest(model_dir / "model.int8.onnx")
    assert answer.model.id == f"all-MiniLM-L6-v2/int8-{digest[:8]}/mean/l2"
    assert (answer.model.dimension, answer.model.max_tokens) == (384, 256)
    assert (answer.name, answer.quantization, answer.pooling) == ("all-MiniLM-L6-v2", "int8", "mean")
    assert answer.normalized


async def test_an_answer_has_vectors_counts_model_and_timings(embedding: Stub) -> None:
    text = "A question that was never asked before, about the answer's own timings."
    answer = await embed(embedding, text, LONG)
    assert [one.truncated for one in answer.embeddings] == [False, True]
    assert answer.embeddings[1].token_count == answer.model.max_tokens == 256
    assert 10 < answer.embeddings[0].token_count < 30
    assert answer.timings.inferred.ToNanoseconds() > 0
    assert answer.timings.tokenized.ToNanoseconds() > 0


async def test_the_reference_texts_get_the_reference_vectors(embedding: Stub) -> None:
    answer = await embed(embedding, *TEXTS)
    cosines = [float(vector(one) @ known) for one, known in zip(answer.embeddings, vectors(), strict=True)]
    assert min(cosines) >= 0.98, cosines


async def test_the_same_text_again_comes_from_the_cache_unchanged(embedding: Stub) -> None:
    first = await embed(embedding, "Is this cached?", "Is this cached?", "And this?")
    again = await embed(embedding, "And this?", "Is this cached?")
    assert [one.vector for one in again.embeddings] == [first.embeddings[at].vector for at in (2, 0)]
    assert first.embeddings[0] == first.embeddings[1]
    assert again.timings.inferred.ToNanoseconds() == 0


@pytest.mark.parametrize("texts", [[""], [" \n\t "], ["\0"], ["\u200b"], []])
async def test_a_text_without_words_is_no_error(embedding: Stub, texts: list[str]) -> None:
    answer = await embed(embedding, *texts)
    assert [one.token_count for one in answer.embeddings] == [2] * len(texts)
    assert all(np.linalg.norm(vector(one)) == pytest.approx(1, abs=1e-5) for one in answer.embeddings)
    assert answer.model.dimension == 384


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        (["fine", "x" * 100_001], "texts[1]"),
        (["x" * 10_000_000], "texts[0]"),
        (["x"] * 65, "texts"),
    ],
    ids=["too long", "10 MB", "too many"],
)
async def test_too_much_is_invalid_and_names_the_field(embedding: Stub, texts: list[str], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        await embed(embedding, *texts)
    assert list(caught.value.fields) == [field]


async def test_a_stream_answers_each_message_in_order(embedding: Stub) -> None:
    groups = [["one", LONG, "three"], ["four"], [], [f"text {number}" for number in range(256)]]

    async def requests() -> AsyncIterator[pb.EmbedManyRequest]:
        for group in groups:
            yield pb.EmbedManyRequest(texts=group)

    answers = [answer async for answer in stream(embedding.EmbedMany, requests(), within=60)]
    assert [len(answer.embeddings) for answer in answers] == [3, 1, 0, 256]
    assert [one.truncated for one in answers[0].embeddings] == [False, True, False]
    alone = await embed(embedding, "one", "four", "text 255")
    streamed = [answers[0].embeddings[0], answers[1].embeddings[0], answers[3].embeddings[255]]
    for one, other in zip(alone.embeddings, streamed, strict=True):
        assert float(vector(one) @ vector(other)) >= 0.999


async def test_a_stream_refuses_a_message_of_more_than_256_texts(embedding: Stub) -> None:
    async def requests() -> AsyncIterator[pb.EmbedManyRequest]:
        yield pb.EmbedManyRequest(texts=["x"] * 257)

    with pytest.raises(Invalid) as caught:
        async for _ in stream(embedding.EmbedMany, requests(), within=10):
            pass
    assert list(caught.value.fields) == ["texts"]


async def test_tokens_put_the_text_together_again(embedding: Stub) -> None:
    texts = [*TEXTS, f"  {LONG}"]
    answer = await call(embedding.Tokenize, pb.TokenizeRequest(texts=texts), within=10)
    embedded = await embed(embedding, *TEXTS)
    for text, found in zip(texts, answer.texts, strict=True):
        ends = [*found.starts[1:], len(text)]
        assert "".join(text[a:b] for a, b in zip(found.starts, ends, strict=True)) == text
    for one, found in zip(embedded.embeddings, answer.texts, strict=False):
        assert one.truncated or one.token_count == len(found.starts) + 2
    assert len(answer.texts[-1].starts) > 256  # all of the text, not the window's part


async def test_a_large_document_is_tokenised_as_in_one_piece_and_holds_no_question_up(
    embedding: Stub, model_dir: Path
) -> None:
    text = "\n".join(f"{number} The ledger's postings_{number} are kept twice: über-genau." for number in range(20_000))
    reading = asyncio.create_task(call(embedding.Tokenize, pb.TokenizeRequest(texts=[text]), within=60))
    for number in range(10):
        await asyncio.sleep(0.02)
        assert len((await embed(embedding, f"asked while a document is read, {number}")).embeddings) == 1
    assert not reading.done()
    found = list((await reading).texts[0].starts)
    whole = Tokenizer.from_file(str(model_dir / files.TOKENIZER))
    whole.no_truncation()
    assert found == [start for start, _ in whole.encode(text, add_special_tokens=False).offsets]


async def test_a_text_without_words_has_no_tokens(embedding: Stub) -> None:
    answer = await call(embedding.Tokenize, pb.TokenizeRequest(texts=["", "  "]), within=10)
    assert [list(text.starts) for text in answer.texts] == [[], []]


async def bulk(stub: Stub, texts: list[str]) -> int:
    """How many texts a stream of one message embedded."""

    async def requests() -> AsyncIterator[pb.EmbedManyRequest]:
        yield pb.EmbedManyRequest(texts=texts)

    return sum([len(one.embeddings) async for one in stream(stub.EmbedMany, requests(), within=100)])


async def refused(stub: Stub) -> bool:
    """Whether there is no room for bulk work."""
    try:
        await bulk(stub, ["x"])
    except Overloaded:
        return True
    return False


async def fill(stub: Stub, texts: list[str]) -> "asyncio.Task[int]":
    """A caller whose texts leave no room for others."""
    while True:
        filling = asyncio.create_task(bulk(stub, texts))
        while not filling.done():
            if await refused(stub):
                return filling
        with pytest.raises(Overloaded):  # our own asking was in its way
            await filling


async def test_a_full_queue_is_overloaded_and_drops_callers_who_leave(model_dir: Path, tmp_path: Path) -> None:
    shown = f"127.0.0.1:{free_ports(1)[0]}"
    environ = {"MODEL_DIR": str(model_dir), "EMBEDDING_BULK_QUEUE_TOKENS": "1000", "METRICS_LISTEN": shown}
    many = [f"{number} {LONG}" for number in range(256)]
    with embedding_service(tmp_path, environ) as addr:
        channel = connect(addr, SERVICE, trust=trust("retrieval"), to="embedding")
        caller.bind(admin())
        stub: Stub = rpc.EmbeddingServiceStub(channel)
        filling = await fill(stub, many)
        # Bulk work is full; whoever waits for an answer is neither refused nor last.
        assert len((await embed(stub, "a question")).embeddings) == 1
        assert not filling.done()
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
        while await refused(stub):
            await asyncio.sleep(0.01)
        assert await bulk(stub, ["y"]) == 1
        text = loopback.get(f"http://{shown}/metrics").text
        embedded = next(line for line in text.splitlines() if line.startswith("embedding_batch_tokens_sum"))
        assert float(embedded.split()[1]) < 256 * 256
        await channel.close()


async def test_a_question_is_answered_before_the_many_texts_of_another_caller(embedding: Stub) -> None:
    many = [f"{number} other text. {LONG}" for number in range(64)]
    filling = asyncio.create_task(embed(embedding, *many))
    await asyncio.sleep(0.05)
    assert len((await embed(embedding, "a question of a few words")).embeddings) == 1
    assert not filling.done()
    assert len((await filling).embeddings) == len(many)


def test_a_missing_model_names_the_command_that_makes_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "context_embedding"]
    run = subprocess.run(command, env={"MODEL_DIR": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "make model" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_changed_model_is_refused(tmp_path: Path, model_dir: Path) -> None:
    for path in model_dir.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / files.TOKENIZER).unlink()
    (tmp_path / files.TOKENIZER).write_text("{}")
    command = [sys.executable, "-m", "context_embedding"]
    run = subprocess.run(command, env={"MODEL_DIR": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "another hash" in run.stderr


def test_the_export_does_nothing_when_the_model_is_there(model_dir: Path) -> None:
    command = [sys.executable, "-m", "context_embedding.export", "--out", str(model_dir)]
    before = (model_dir / files.MANIFEST).stat().st_mtime_ns
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "already" in run.stdout
    assert (model_dir / files.MANIFEST).stat().st_mtime_ns == before
