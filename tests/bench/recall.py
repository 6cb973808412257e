"""How much of what an exact search finds the engine's own search finds: recall@10, document by document.

Exact means: every vector of the index compared with the question's by numpy, a document as near as its nearest chunk,
only those that pass the filter. The engine is asked by meaning alone, since words would move the order.
"""

import json
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import psycopg
from pgvector.psycopg import register_vector

from context_embedding import files
from context_embedding.encoder import Encoder
from tests.bench.wire import Connection

TOP, MANY = 10, 100  # how many are asked for: as an agent does, and all that can be
# Tags of the corpus by the share of documents that have them, about.
SHARES = {"all": None, "12 %": "tag-2", "0.8 %": "tag-6", "0.1 %": "tag-9"}
INDEXED = """
SELECT c.item_id, d.tags, c.embedding FROM retrieval.chunks c JOIN retrieval.documents d USING (namespace, item_id)
WHERE d.in_force AND NOT d.deleted AND c.embedding IS NOT NULL ORDER BY c.item_id"""


@dataclass
class Counted:
    """Documents that should be found, and that were."""

    wanted: int = 0
    found: int = 0

    def add(self, exact: Sequence[str], answered: set[str]) -> None:
        """Count one question's."""
        self.wanted += len(exact)
        self.found += len(answered & set(exact))

    @property
    def share(self) -> float:
        """Of those wanted; of none, all."""
        return self.found / self.wanted if self.wanted else 1.0


@dataclass(frozen=True)
class Held:
    """What the index holds: chunk by chunk its document and vector, and each document's tags."""

    ids: npt.NDArray[np.str_]
    vectors: npt.NDArray[np.float32]
    tags: dict[str, set[str]]

    def having(self, tag: str | None) -> "Held":
        """Those documents that have `tag`; None: all."""
        passing = np.array([tag is None or tag in self.tags[one] for one in self.ids], bool)
        return Held(self.ids[passing], self.vectors[passing], self.tags)

    def ordered(self, vector: npt.NDArray[np.float32]) -> list[str]:
        """The documents, the nearest first: each as near as its nearest chunk."""
        return list(dict.fromkeys(self.ids[np.argsort(-(self.vectors @ vector), kind="stable")].tolist()))


def measure(url: str, database_url: str, questions: Sequence[str]) -> dict[str, float]:
    """For each share of the documents that passes a filter two figures.

    `answered`: how many of the exact ten are among ten that are answered. Some are missing on purpose: the order also
    goes by how new a document is, and what is far behind the best is left out.
    `nearest`: a hundred are asked for, and the ten of those that are nearest compared with the exact ten, or as many
    as were answered: what the vector index misses.
    """
    held = _held(database_url)
    encoder = Encoder.load(files.default_directory(os.environ), "int8")
    vectors = [encoder.embed_now([question])[0] for question in questions]
    found: dict[str, float] = {}
    with Connection(url) as connection:
        for share, tag in SHARES.items():
            passing = held.having(tag)
            answered, nearest = Counted(), Counted()
            for question, vector in zip(questions, vectors, strict=True):
                exact = passing.ordered(vector)
                answered.add(exact[:TOP], _answered(connection, question, tag, TOP))
                shown = _answered(connection, question, tag, MANY)
                # Measured by its own vectors, so that only what was never looked at counts as missed.
                best = [one for one in exact if one in shown][:TOP]
                nearest.add(exact[: len(best)], set(best))
            found |= {f"recall.{share}.answered": answered.share, f"recall.{share}.nearest": nearest.share}
    return found


def _answered(connection: Connection, question: str, tag: str | None, most: int) -> set[str]:
    body = {"query": question, "mode": "semantic", "top_k": most, **({"tags": [tag]} if tag else {})}
    return {hit["id"] for hit in json.loads(connection.post("/api/search", body))["results"]}


def _held(database_url: str) -> Held:
    with closing(psycopg.connect(database_url)) as connection:
        register_vector(connection)
        rows = connection.execute(INDEXED, binary=True).fetchall()
    ids = np.array([row[0] for row in rows])
    return Held(ids, np.array([row[2].to_numpy() for row in rows], np.float32), {row[0]: set(row[1]) for row in rows})
