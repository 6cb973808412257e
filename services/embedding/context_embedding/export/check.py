"""Runs in the throw-away environment: does the int8 model say what the fp32 one says?"""

from pathlib import Path

import numpy as np

from context_embedding.encoder import Encoder
from context_embedding.files import Manifest

LEAST_MEAN = 0.99
TEXTS = (
    "Why?",
    "Who pays for traffic leaving the network?",
    "We keep every posting twice and compare the ledger with the bank's file each night.",
    "connection reset by peer while reading response header from upstream",
    "def double(x):\n    return 2 * x",
    "Die Warteschlange lief nach dem Neustart über.",
)


def agreement(directory: Path, manifest: Manifest) -> tuple[float, float]:
    """The least and the mean cosine between int8 and fp32 over a few texts.

    Raises:
        SystemExit: They agree too badly for the int8 model to be used.
    """
    one, other = (Encoder.load(directory, quantization) for quantization in ("int8", "fp32"))
    cosines = [float(np.dot(one.embed_now([text])[0], other.embed_now([text])[0])) for text in TEXTS]
    mean = sum(cosines) / len(cosines)
    if mean < LEAST_MEAN:
        raise SystemExit(f"the int8 model of {manifest.name} is too far from its fp32 model: mean cosine {mean:.4f}")
    return min(cosines), mean
