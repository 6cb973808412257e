"""The external embedder against a server that speaks OpenAI's protocol, well or badly."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import numpy as np
import pytest

from context_common.errors import AppError, Invalid, Overloaded, Unavailable
from context_embedding.external import SPECIAL, ExternalEmbedder

WINDOW = 20


@dataclass
class Provider:
    """What the provider was sent, and what it shall answer: statuses first, then vectors."""

    statuses: list[int] = field(default_factory=list)
    body: bytes | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def provider() -> Iterator[Provider]:
    script = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            script.asked.append(request)
            script.keys.append(self.headers.get("authorization", ""))
            status = script.statuses.pop(0) if script.statuses else 200
            # Out of order, as the protocol allows.
            data = [{"index": at, "embedding": [3.0, 4.0 * at]} for at in reversed(range(len(request["input"])))]
            body = script.body or json.dumps({"data": data}).encode()
            self.send_response(status if self.path == "/v1/embeddings" else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Be quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        script.url = f"http://127.0.0.1:{server.server_port}/v1"
        yield script
        server.shutdown()
        thread.join()


@pytest.fixture
async def embedder(provider: Provider) -> AsyncIterator[ExternalEmbedder]:
    async with aclosing(ExternalEmbedder(provider.url, "key", "big", dimension=2, max_tokens=WINDOW)) as made:
        yield made


async def test_vectors_come_in_the_order_of_the_texts_and_of_length_1(
    provider: Provider, embedder: ExternalEmbedder
) -> None:
    embeddings, _ = await embedder.embed(["one", "two words"], interactive=True)
    vectors = [np.frombuffer(one.vector, "<f4").tolist() for one in embeddings]
    assert vectors == [[1, 0], pytest.approx([0.6, 0.8])]
    assert provider.asked[-1] == {
        "model": "big",
        "input": ["one", "two words"],
        "encoding_format": "float",
        "dimensions": 2,
    }
    assert set(provider.keys) == {"Bearer key"}


async def test_it_learns_the_dimension_once(provider: Provider, embedder: ExternalEmbedder) -> None:
    first, second = await embedder.describe(), await embedder.describe()
    assert first == second
    assert (first.dimension, first.quantization, first.id) == (2, "external", "big@2/external/provider/l2")
    assert len(provider.asked) == 1


async def test_a_failure_that_may_pass_is_tried_again(provider: Provider, embedder: ExternalEmbedder) -> None:
    provider.statuses = [503, 429]
    assert (await embedder.describe()).dimension == 2
    assert len(provider.asked) == 3


@pytest.mark.parametrize(
    ("status", "kind", "tries"), [(500, Unavailable, 3), (429, Overloaded, 3), (401, Unavailable, 3), (400, Invalid, 1)]
)
async def test_each_refusal_is_an_error_of_ours(
    provider: Provider, embedder: ExternalEmbedder, status: int, kind: type[AppError], tries: int
) -> None:
    provider.statuses = [status] * tries
    provider.body = b'{"error": "your key is key"}'
    with pytest.raises(kind) as caught:
        await embedder.describe()
    assert "key is key" not in str(caught.value)
    assert len(provider.asked) == tries


@pytest.mark.parametrize("body", [b"", b"no json", b"{}", b'{"data": []}', b'{"data": [{"index": 0}]}', b"[1]"])
async def test_an_answer_of_another_shape_is_unavailable(
    provider: Provider, embedder: ExternalEmbedder, body: bytes
) -> None:
    provider.body = body or b" "
    with pytest.raises(Unavailable):
        await embedder.describe()


async def test_nobody_there_is_unavailable() -> None:
    async with aclosing(ExternalEmbedder("http://127.0.0.1:1/v1", "", "big", dimension=0, max_tokens=8)) as embedder:
        with pytest.raises(Unavailable, match="could not be reached"):
            await embedder.describe()


async def test_a_text_longer_than_the_window_is_cut_and_says_so(provider: Provider, embedder: ExternalEmbedder) -> None:
    embeddings, _ = await embedder.embed(["four " * 50, "short", ""], interactive=False)
    assert [one.truncated for one in embeddings] == [True, False, False]
    assert embeddings[0].token_count == WINDOW
    sent = provider.asked[-1]["input"]
    assert sent[0] == "four " * ((WINDOW - SPECIAL) // 2)
    assert sent[2].isspace()  # providers refuse an empty text


async def test_many_texts_are_asked_for_in_groups(provider: Provider, embedder: ExternalEmbedder) -> None:
    await embedder.describe()
    embeddings, _ = await embedder.embed(["text"] * 150, interactive=False)
    assert len(embeddings) == 150
    assert [len(request["input"]) for request in provider.asked[1:]] == [64, 64, 22]


async def test_its_tokens_put_the_text_together_again(embedder: ExternalEmbedder) -> None:
    text = "  A naïve façade, 数据库; words.  "
    (starts,) = await embedder.starts([text])
    assert "".join(text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)) == text
    assert await embedder.starts(["", " \n "]) == [[], []]
