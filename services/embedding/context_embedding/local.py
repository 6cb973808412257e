"""The embedder in this process: the encoder behind the batcher."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from time import perf_counter

from context_embedding.batcher import Batcher
from context_embedding.encoder import Encoder, Tokens, pieces
from context_embedding.model import Description, Embedding, Timings

AT_ONCE = 4_000  # characters that are tokenised on the event loop, which is quicker than asking a thread
CHARACTERS_PER_TOKEN = 3  # at least, in most texts; for a first estimate of what a request costs


class LocalEmbedder:
    """Embeds by `encoder`, in the batches of `batcher`; tokenises documents in the one thread of `reading`."""

    def __init__(self, encoder: Encoder, batcher: Batcher, reading: Executor) -> None:
        self._encoder, self._batcher, self._reading = encoder, batcher, reading
        manifest = encoder.manifest
        self._description = Description(
            id=encoder.model_id,
            name=manifest.name,
            dimension=manifest.dimension,
            max_tokens=manifest.max_tokens,
            quantization=encoder.quantization,
            pooling=manifest.pooling,
        )

    async def describe(self) -> Description:
        """Which model it is."""
        return self._description

    async def embed(self, texts: Sequence[str], *, interactive: bool) -> tuple[list[Embedding], Timings]:
        """The embeddings of `texts`.

        Raises:
            Overloaded: Too many tokens are waiting already; said before anything is tokenised.
        """
        timings = Timings()
        with self._batcher.admit(self._estimate(texts), interactive=interactive):
            start = perf_counter()
            tokens = await self._tokenize(texts)
            timings.tokenized = perf_counter() - start
            done = await self._batcher.embed(tokens, interactive=interactive)
        timings.queued = max((one.queued for one in done), default=0.0)
        timings.inferred = max((one.inferred for one in done), default=0.0)
        embeddings = [
            Embedding(one.vector.astype("<f4").tobytes(), len(cut.ids), cut.truncated)
            for cut, one in zip(tokens, done, strict=True)
        ]
        return embeddings, timings

    async def starts(self, texts: Sequence[str]) -> list[list[int]]:
        """Where the tokens of each text start; callers take turns by pieces, and one who leaves is dropped."""
        return [await self._starts(text) for text in texts]

    async def _starts(self, text: str) -> list[int]:
        loop, found = asyncio.get_running_loop(), list[int]()
        for place, piece in pieces(text):
            starts = await loop.run_in_executor(self._reading, self._encoder.starts, piece)
            found.extend(place + start for start in starts)
        # The first starts at 0, so that what stands between starts puts the text together again.
        return [0, *found[1:]] if found else []

    async def _tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        if sum(map(len, texts)) <= AT_ONCE:
            return self._encoder.tokenize(texts)
        return await asyncio.to_thread(self._encoder.tokenize, texts)

    def _estimate(self, texts: Sequence[str]) -> int:
        window = self._description.max_tokens
        return sum(min(window, 2 + len(text) // CHARACTERS_PER_TOKEN) for text in texts)
