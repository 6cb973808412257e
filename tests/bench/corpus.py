"""Documents for measuring with: as many as wanted, of the size of real ones, no two the same.

What they say is taken from the documentation strings of the Python that runs this and of what is installed beside it:
real technical English that every checkout has. A document is sentences of one module in their order; then one word in
SWAPPED is exchanged for another that is about as common, so that however many documents are made, neither whole
sentences nor the words that belong together come again and again as they were.
"""

import ast
import hashlib
import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

SENTENCE = re.compile(r"(?<=[.!?:])\s+(?=[A-Z`\"'])|\n\s*\n")
WORD = re.compile(r"[A-Za-z][A-Za-z']{2,}")
LEAST_WORDS, MOST_WORDS = 6, 60  # of a sentence
LEAST_SENTENCES = 8  # of a module
SWAPPED = 16  # one word in so many
RANK_STEP = 1.3  # words whose places among the most common differ by this factor are about as common
LENGTHS = ((25, 55), (80, 33), (300, 10), (1000, 2))  # words, about, and how many documents in a hundred have them
TYPES = (("adr", 40), ("failure", 40), ("meeting", 10), ("snapshot", 10))
TAGS = 1000  # of every size: `tag-0` stands on half of all items, `tag-9` on one in a thousand


@dataclass(frozen=True, slots=True)
class Source:
    """Real text: the sentences of each module, and every word by how common it is."""

    modules: Sequence[Sequence[str]]
    words: Sequence[str]  # the most common first
    rank: dict[str, int]


@cache
def source() -> Source:
    """What the installed modules say of themselves; read once and kept in a file, since it takes a minute."""
    files = list(_files())
    kept = Path(tempfile.gettempdir()) / f"context-bench-{_digest(files)}.json"
    if not kept.exists():
        read = [found for path in files if len(found := _sentences(path)) >= LEAST_SENTENCES]
        kept.write_text(json.dumps(read))
    modules = json.loads(kept.read_text())
    counts = Counter(word.lower() for module in modules for said in module for word in WORD.findall(said))
    words = [word for word, count in counts.most_common() if count > 1]
    return Source(modules, words, {word: place for place, word in enumerate(words)})


def text(rng: random.Random, words: int) -> str:
    """About so many words of one module, some of them exchanged."""
    found = source()
    module = rng.choice(found.modules)
    start, said, length = rng.randrange(len(module)), list[str](), 0
    for place in range(len(module)):
        if length >= words:
            break
        said.append(module[(start + place) % len(module)])
        length += len(said[-1].split())
    return WORD.sub(lambda match: _exchanged(match[0], found, rng), " ".join(said))


def items(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """So many items as `POST /api/bulk` takes them. The same seed gives the same."""
    rng = random.Random(seed)
    for number in range(count):
        yield _item(number, rng)


def questions(count: int, seed: int = 2) -> list[str]:
    """So many questions as agents ask them: parts of sentences that documents could have."""
    rng = random.Random(seed)
    found: list[str] = []
    while len(found) < count:
        words = text(rng, 12).split()
        found.append(" ".join(words[: rng.randint(4, 12)]).strip(".,:;"))
    return found


def _item(number: int, rng: random.Random) -> dict[str, Any]:
    kind = rng.choices([name for name, _ in TYPES], [share for _, share in TYPES])[0]
    about = rng.choices([words for words, _ in LENGTHS], [share for _, share in LENGTHS])[0]
    words = int(about * rng.uniform(0.5, 1.5))
    title = " ".join(text(rng, 6).split()[:10]).rstrip(".:,;")[:200]
    body, rest = text(rng, max(words * 2 // 3, 10)), text(rng, max(words // 3, 6))
    day = f"20{rng.randint(18, 26):02d}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    tags = [f"tag-{place}" for place in range(10) if rng.random() < 0.5 ** (place + 1)]
    common = {"type": kind, "tags": tags or ["untagged"], "source_uri": f"bench:{number}"}
    if kind == "adr":
        return {**common, "title": title, "created_date": day, "context": body, "decision": rest}
    if kind == "failure":
        return {**common, "title": title, "incident_date": day, "root_cause": body, "resolution": rest}
    if kind == "meeting":
        return {**common, "meeting_title": title, "date": day, "decisions": [{"decision": body, "rationale": rest}]}
    return {
        **common,
        "commit_hash": f"{rng.getrandbits(160):040x}",
        "commit_message": f"{title}\n\n{body}",
        "author": "Ada",
        "date": day,
    }


def _files() -> Iterator[Path]:
    """The sources of everything that can be imported here, in one order."""
    seen = set()
    for folder in sorted({Path(part).resolve() for part in sys.path if part}, key=str):
        if folder.is_dir() and (folder / "pip").is_dir() | (folder / "asyncio").is_dir():
            for path in sorted(folder.rglob("*.py")):
                if path not in seen and "test" not in path.parts and "tests" not in path.parts:
                    seen.add(path)
                    yield path


def _digest(files: Sequence[Path]) -> str:
    """Stands for what is installed."""
    names = "\n".join(f"{path} {path.stat().st_size}" for path in files)
    return hashlib.blake2b(names.encode(), digest_size=8).hexdigest()


def _sentences(path: Path) -> list[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return []
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef))
    said = (
        " ".join(part.replace("\0", " ").split())
        for node in nodes
        for part in SENTENCE.split(ast.get_docstring(node) or "")
    )
    return [one for one in said if len(WORD.findall(one)) >= LEAST_WORDS and len(one.split()) <= MOST_WORDS]


def _exchanged(word: str, found: Source, rng: random.Random) -> str:
    """`word`, or now and then one that is about as common."""
    if rng.randrange(SWAPPED):
        return word
    place = found.rank.get(word.lower())
    if place is None:
        return word
    most = min(len(found.words), int((place + 10) * RANK_STEP))
    other = found.words[rng.randrange(int(place / RANK_STEP), most)]
    return other.capitalize() if word[0].isupper() else other
