"""The model itself: tokenise, run, pool, normalise. Synchronous; whoever calls decides in which thread."""

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from context_embedding import files

Vectors = NDArray[np.float32]

# A text this many characters per token of the window longer than it is looked at only so far, if that fills the window
# with LONGEST_WORD tokens to spare: no word that the cut may have halved is then inside the window.
HEAD = 16
LONGEST_WORD = 100
PIECE = 50_000  # characters of a document that are tokenised at once, a tenth of a second's work


@dataclass(frozen=True)
class Tokens:
    """A text as the model reads it, special tokens included, cut to the window."""

    ids: list[int]
    truncated: bool


class Encoder:
    """One loaded model."""

    def __init__(
        self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer, manifest: files.Manifest, quantization: str
    ) -> None:
        self._session, self._tokenizer = session, tokenizer
        self.manifest, self.quantization = manifest, quantization
        self.model_id = manifest.model_id(quantization)
        self._inputs = {item.name for item in session.get_inputs()}
        self._special = tokenizer.num_special_tokens_to_add(is_pair=False)

    @classmethod
    def load(cls, directory: Path, quantization: str) -> Self:
        """The model in `directory` as fp32 or int8.

        A run takes one core; whoever wants more runs several at once, which on texts of this size is quicker than
        several cores on one run.

        Raises:
            ModelMissing: It is not there, or not what its manifest says.
        """
        plain = quantization == "int8" and not multiplies_bytes()
        model = files.PLAIN if plain else files.ONNX[quantization]
        manifest = files.read_manifest(directory, check=(model, files.TOKENIZER))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(directory / model, options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_file(str(directory / files.TOKENIZER))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return cls(session, tokenizer, manifest, quantization)

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of each text."""
        window = self.manifest.max_tokens
        heads = [text[: window * HEAD] for text in texts]
        encoded = self._encoded(heads)
        for place, (text, head) in enumerate(zip(texts, heads, strict=True)):
            if len(head) < len(text) and len(encoded[place].ids) < window + LONGEST_WORD:
                encoded[place] = self._tokenizer.encode(text, add_special_tokens=False)
        result = []
        for encoding in encoded:
            truncated = len(encoding.ids) > window - self._special
            encoding.truncate(window - self._special)
            result.append(Tokens(self._tokenizer.post_process(encoding).ids, truncated))
        return result

    def _encoded(self, heads: Sequence[str]) -> list[Encoding]:
        if len(heads) == 1:  # to hand one text to the library's threads takes longer than to read it
            return [self._tokenizer.encode(heads[0], add_special_tokens=False)]
        return self._tokenizer.encode_batch_fast(heads, add_special_tokens=False)

    def starts(self, piece: str) -> list[int]:
        """Where each token of the whole `piece` starts, in characters, special tokens left out."""
        # A batch of one, which lets other threads run meanwhile; `encode` stops all of them until it is through.
        (encoding,) = self._tokenizer.encode_batch([piece], add_special_tokens=False)
        return [start for start, _ in encoding.offsets]

    def run(self, batch: Sequence[Tokens]) -> Vectors:
        """The vector of each, of length 1; one run of the model, padded to the longest."""
        shape = len(batch), max(len(tokens.ids) for tokens in batch)
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens.ids)] = tokens.ids
            mask[row, : len(tokens.ids)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, {name: inputs[name] for name in self._inputs})[0]
        return _normalized(_pooled(np.asarray(hidden), mask, self.manifest.pooling))

    def embed_now(self, texts: Sequence[str]) -> Vectors:
        """The vectors of `texts` in one run: for warming up and for checks."""
        return self.run(self.tokenize(texts))


def pieces(text: str) -> Iterator[tuple[int, str]]:
    """`text` in pieces of at most `PIECE` characters, each with its place: cut between words where there are any."""
    start = 0
    while len(text) - start > PIECE:
        least, most = start + PIECE // 2, start + PIECE
        stop = max(text.rfind(blank, least, most) for blank in " \n")
        stop = most if stop < 0 else stop
        yield start, text[start:stop]
        start = stop
    yield start, text[start:]


def multiplies_bytes() -> bool:
    """Whether this processor multiplies signed bytes exactly in one instruction: VNNI on x86, any 64-bit Arm."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_vnni" in flags or "avx_vnni" in flags


def _pooled(hidden: Vectors, mask: NDArray[np.int64], pooling: str) -> Vectors:
    if pooling == "cls":
        return hidden[:, 0]
    weights = mask[:, :, None].astype(np.float32)
    return np.asarray((hidden * weights).sum(axis=1) / weights.sum(axis=1), dtype=np.float32)


def _normalized(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
