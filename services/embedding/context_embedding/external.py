"""The embedder elsewhere: any service that speaks OpenAI's embeddings protocol.

Its tokenizer is not ours to see. Tokens are counted about so: runs of up to three letters or digits, and every other
character that is not a blank, are one each. That is more than nearly every tokenizer makes of a text, so what fits the
window here fits it there.
"""

import asyncio
import math
import re
from collections.abc import Sequence
from http import HTTPStatus
from time import perf_counter
from typing import Any

import httpx2
import numpy as np
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from context_common import tracing
from context_common.errors import Invalid, Overloaded, Unavailable
from context_embedding import metrics
from context_embedding.model import Description, Embedding, Timings

TOKEN = re.compile(r"\w{1,3}|[^\w\s]")
SPECIAL = 2  # tokens that models put around a text
GROUP = 64  # texts in one request
ATTEMPTS = 3
AT_ONCE = 8  # requests under way; as many again times WAITING wait
WAITING = 16
REFUSALS = {400, 413, 422}  # the texts are to blame
TIMEOUT = httpx2.Timeout(20.0, connect=3.0)  # seconds


class ExternalEmbedder:
    """Embeds by the service at `url`, the part before `/embeddings`.

    Args:
        dimension: Numbers a vector shall have, for models that offer a choice; 0 takes the model's own.
        max_tokens: The model's window.
    """

    def __init__(self, url: str, key: str, model: str, *, dimension: int, max_tokens: int) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._client = httpx2.AsyncClient(headers=headers, timeout=TIMEOUT)
        self._url = f"{url.rstrip('/').removesuffix('/embeddings')}/embeddings"
        self._model, self._dimension, self._max_tokens = model, dimension, max_tokens
        self._description: Description | None = None
        self._permits = asyncio.Semaphore(AT_ONCE)
        self._under_way = 0

    async def describe(self) -> Description:
        """Which model it is; its dimension is learnt from a first vector."""
        if self._description is None:
            dimension = len((await self._ask(["dimension"]))[0])
            width = f"@{self._dimension}" if self._dimension else ""
            self._description = Description(
                id=f"{self._model}{width}/external/provider/l2",
                name=self._model,
                dimension=dimension,
                max_tokens=self._max_tokens,
                quantization="external",
                pooling="provider",
            )
        return self._description

    async def embed(self, texts: Sequence[str], *, interactive: bool) -> tuple[list[Embedding], Timings]:
        """The embeddings of `texts`, each cut to the window first."""
        del interactive  # every request is its own there
        expected = (await self.describe()).dimension
        cuts = [self._cut(text) for text in texts]
        start = perf_counter()
        groups = [[text for text, _, _ in cuts[at : at + GROUP]] for at in range(0, len(cuts), GROUP)]
        vectors = [vector for group in groups for vector in await self._ask(group)]
        if any(len(vector) != expected for vector in vectors):
            raise Unavailable("the embedding provider changed the length of its vectors")
        embeddings = [
            Embedding(_normalized(vector), count, truncated)
            for vector, (_, count, truncated) in zip(vectors, cuts, strict=True)
        ]
        return embeddings, Timings(inferred=perf_counter() - start)

    async def starts(self, texts: Sequence[str]) -> list[list[int]]:
        """Where the tokens of each text start, about so."""
        return [_starts(text) for text in texts]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _cut(self, text: str) -> tuple[str, int, bool]:
        """The part of `text` that fits the window, its tokens, and whether that is less than all of it."""
        starts = _starts(text)
        fits = self._max_tokens - SPECIAL
        if len(starts) > fits:
            return text[: starts[fits]], self._max_tokens, True
        return text or " ", len(starts) + SPECIAL, False  # providers refuse an empty text

    async def _ask(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of `texts`, asked for again after a failure that may pass."""
        if self._under_way >= AT_ONCE * WAITING:
            metrics.REFUSED.labels("external").inc()
            raise Overloaded("too many requests to the embedding provider are waiting")
        self._under_way += 1
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type((Unavailable, Overloaded)),
                stop=stop_after_attempt(ATTEMPTS),
                wait=wait_exponential_jitter(multiplier=0.1, max=2, jitter=0.2),
                reraise=True,
            ):
                with attempt:
                    async with self._permits:
                        return await self._ask_once(texts)
        finally:
            self._under_way -= 1
        raise AssertionError  # an attempt returns or raises

    async def _ask_once(self, texts: Sequence[str]) -> list[list[float]]:
        body: dict[str, Any] = {"model": self._model, "input": list(texts), "encoding_format": "float"}
        if self._dimension:
            body["dimensions"] = self._dimension
        about = {"context.texts": len(texts)}
        with metrics.GENERATION_SECONDS.time(), tracing.ask("embed elsewhere", about):
            try:
                response = await self._client.post(self._url, json=body)
            except httpx2.HTTPError as error:
                raise Unavailable(f"the embedding provider could not be reached: {type(error).__name__}") from error
        _check(response.status_code)
        try:
            data = sorted(response.json()["data"], key=lambda entry: entry["index"])
            vectors = [[float(number) for number in entry["embedding"]] for entry in data]
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable("the embedding provider gave an answer of another shape") from error
        if len(vectors) != len(texts):
            raise Unavailable(f"the embedding provider gave {len(vectors)} vectors for {len(texts)} texts")
        return vectors


def _check(status: int) -> None:
    """Raise what a status of the provider means for our caller; its words stay with us, they may quote the key."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Overloaded("the embedding provider refuses more requests just now")
    if status in REFUSALS:
        raise Invalid({"texts": ["were refused by the embedding provider"]})
    if status != HTTPStatus.OK:
        raise Unavailable(f"the embedding provider answered {status}")


def _starts(text: str) -> list[int]:
    found = [match.start() for match in TOKEN.finditer(text)]
    return [0, *found[1:]] if found else []


def _normalized(vector: Sequence[float]) -> bytes:
    array = np.asarray(vector, dtype="<f4")
    length = float(np.linalg.norm(array))
    if not math.isfinite(length) or length == 0:
        raise Unavailable("the embedding provider gave a vector without a direction")
    return (array / length).astype("<f4").tobytes()
