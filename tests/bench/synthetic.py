"""Documents by the million: their texts from corpus.py, their vectors from around real ones, since to embed that much
takes hours.

A vector lies between two real chunks' and then aside, so that its cosine to where it came from is about LIKE. Aside
means in the directions in which real vectors differ and as much in each as they do: with noise that is the same in all
384 the points would be farther from each other than texts ever are, and the index harder to search than a real one.
"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from context_embedding import files
from context_embedding.encoder import Encoder
from context_retrieval.bundle import counted, counted_passage
from context_retrieval.document import DATES, OWN_FIELDS
from context_retrieval.model import Chunk, Document, Edge, Entry, Key
from context_retrieval.passages import Text, words
from tests.bench import corpus
from tests.bench.timing import CORES

Vectors = npt.NDArray[np.float32]

LIKE = 0.8
MIXED = 0.5  # of the second real vector goes into the mixture, at most
BLOCK = 250  # documents that are made together
REAL_SEED = 99
BATCH = 16
PREFIX = {"adr": "ADR", "failure": "FAIL", "meeting": "MEET", "snapshot": "SNAP"}
STATUS = {"failure": "investigating"}  # and of all others active
# Where documents live, by the last two digits of their number: most in one namespace, a tenth in another, the rest in
# ten small ones.
MAIN, TENTH = "default", "tenth"


@dataclass(frozen=True)
class Around:
    """Real vectors, and the directions in which they differ."""

    real: Vectors
    spread: Vectors  # what turns even noise into noise like theirs
    model_id: str

    @classmethod
    def encode(cls, documents: int) -> "Around":
        """Around the chunks of so many documents of the corpus."""
        encoder = Encoder.load(files.default_directory(os.environ), "int8")
        made = (document(number, item) for number, item in enumerate(corpus.items(documents, REAL_SEED)))
        texts = sorted((passage.embedded for one in made for passage in Text(one).rough_passages()), key=len)
        with ThreadPoolExecutor(CORES) as threads:
            groups = [texts[at : at + BATCH] for at in range(0, len(texts), BATCH)]
            real = np.concatenate(list(threads.map(encoder.embed_now, groups)))
        covariance = np.cov(real, rowvar=False) + 1e-6 * np.eye(real.shape[1])
        return cls(real, np.linalg.cholesky(covariance).astype(np.float32).T, encoder.model_id)

    def draw(self, count: int, rng: np.random.Generator) -> Vectors:
        """So many vectors of length 1."""
        one, other = (self.real[rng.integers(len(self.real), size=count)] for _ in range(2))
        middle = _unit(one + rng.uniform(0, MIXED, (count, 1)).astype(np.float32) * other)
        aside = _unit(rng.standard_normal((count, self.real.shape[1]), np.float32) @ self.spread)
        return _unit(LIKE * middle + float(np.sqrt(1 - LIKE**2)) * aside)


def entries(block: int, around: Around) -> Iterator[Entry]:
    """The documents of a block, ready to be stored. The same block is the same every time."""
    items = enumerate(corpus.items(BLOCK, block + 1), block * BLOCK)
    made = list(_linked(document(number, item) for number, item in items))
    texts = [Text(one) for one in made]
    passages = [text.rough_passages() for text in texts]
    vectors = iter(around.draw(sum(map(len, passages)), np.random.default_rng(block)))
    for one, text, cut in zip(made, texts, passages, strict=True):
        chunks = tuple(
            Chunk(
                passage.text,
                passage.digest,
                len(passage.embedded) // 4 + 2,
                around.model_id,
                next(vectors),
                counted_passage(passage.text),
            )
            for passage in cut
        )
        yield Entry(one, words(one), text.digest, chunks, around.model_id, counted(one))


def _linked(documents: Iterable[Document]) -> Iterator[Document]:
    """Each refers to the one before it in its namespace."""
    before: dict[str, str] = {}
    for one in documents:
        to = before.get(one.key.namespace)
        yield replace(one, edges=(Edge(to, "references", 0.5),)) if to else one
        before[one.key.namespace] = one.key.item_id


def document(number: int, item: dict[str, Any]) -> Document:
    """An item of the corpus as the index takes it."""
    kind = item["type"]
    title = item.get("title") or item.get("meeting_title") or item["commit_message"].splitlines()[0]
    return Document(
        key=Key(namespace(number), f"{PREFIX[kind]}-{number:06d}"),
        change_id=number + 1,
        version=1,
        type=kind,
        title=title,
        tags=tuple(item["tags"]),
        status=STATUS.get(kind, "active"),
        in_force=True,
        item_date=date.fromisoformat(item[DATES[kind]]),
        provenance="import",
        source_uri=f"bench:{number}",
        payload={name: item[name] for name in OWN_FIELDS[kind] if name in item},
    )


def namespace(number: int) -> str:
    """Where the document of that number lives."""
    place = number % 100
    if place < 80:
        return MAIN
    return TENTH if place < 90 else f"small-{place - 90}"


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
