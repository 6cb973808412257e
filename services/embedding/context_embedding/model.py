"""What passes between the parts: texts become embeddings, by whichever embedder stands behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Description:
    """Which model makes the vectors.

    Attributes:
        id: Names all that shapes a vector; vectors of two ids never compare.
        quantization: fp32, int8 or external.
        max_tokens: The window, special tokens included.
    """

    id: str
    name: str
    dimension: int
    max_tokens: int
    quantization: str
    pooling: str


@dataclass(frozen=True, slots=True)
class Embedding:
    """A text's vector, little-endian float32 of length 1, and how much of the text it stands for."""

    vector: bytes
    token_count: int
    truncated: bool


@dataclass(slots=True)
class Timings:
    """Seconds; the longest of any text, where there were several batches."""

    queued: float = 0.0
    tokenized: float = 0.0
    inferred: float = 0.0


class Embedder(Protocol):
    """A model, in this process or elsewhere. Every method may raise Overloaded or Unavailable."""

    async def describe(self) -> Description:
        """Which model it is."""

    async def embed(self, texts: Sequence[str], *, interactive: bool) -> tuple[list[Embedding], Timings]:
        """The embeddings of `texts`, in their order; `interactive` goes before what is not."""

    async def starts(self, texts: Sequence[str]) -> list[list[int]]:
        """For each text, where its tokens start, in characters; the first at 0, none where nothing can be read."""
