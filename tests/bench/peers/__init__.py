"""The peers, as they come: each runs in a process of its own, by an interpreter that has them and nothing of ours."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from tests.bench.show import say

Figures: TypeAlias = dict[str, float] | str  # or why there are none

NAMES = ("chroma", "txtai", "mem0")
ROOT = Path(__file__).parents[3]
ENVIRONMENT = ROOT / ".venv" / "peers"
REQUIREMENTS = Path(__file__).parent / "requirements.txt"
MOST = 1800  # seconds for one of them
# They ask no hub for what they have and report to nobody.
OFFLINE = {
    "ANONYMIZED_TELEMETRY": "False",
    "HF_HUB_OFFLINE": "1",
    "MEM0_TELEMETRY": "False",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_OFFLINE": "1",
}


def measure(
    names: Sequence[str], python: Path | None, documents: Sequence[dict[str, Any]], questions: Sequence[str]
) -> dict[str, Figures]:
    """What each peer needed for the same documents and questions, or why it did not run."""
    if not names:
        return {}
    try:
        python = python or _environment()
    except (OSError, subprocess.CalledProcessError) as error:
        return dict.fromkeys(names, f"could not be installed: {error}")
    texts = [text_of(item) for item in documents]
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="context-bench-") as scratch:
        task = Path(scratch) / "task.json"
        task.write_text(json.dumps({"documents": texts, "questions": questions}))
        for name in names:
            say(f"{name}: {len(texts)} documents")
            found[name] = _run(name, python, task)
            say(f"{name}: {found[name]}")
    return found


def text_of(item: dict[str, Any]) -> str:
    """All that an item says, as one text."""
    title = item.get("title") or item.get("meeting_title") or ""
    told = (item.get(name, "") for name in ("context", "decision", "root_cause", "resolution", "commit_message"))
    decided = (text for one in item.get("decisions", ()) for text in (one["decision"], one["rationale"]))
    return "\n".join(text for text in (title, *told, *decided) if text)


def _run(name: str, python: Path, task: Path) -> Figures:
    """The JSON line that the peer's script ends with. What it leaves behind lies beside the task."""
    place = task.parent / name
    place.mkdir()
    environ = {**os.environ, **OFFLINE, "MEM0_DIR": str(place), "PYTHONPATH": str(ROOT)}
    command = [str(python.absolute()), "-m", f"tests.bench.peers.{name}", str(task), str(place)]
    try:
        ran = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=MOST, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = ran.stdout.strip().splitlines()
    if ran.returncode or not lines:
        return (ran.stderr.strip().splitlines() or ["it printed nothing"])[-1]
    found: dict[str, float] = json.loads(lines[-1])
    return found


def _environment() -> Path:
    """The interpreter of an environment with the peers in it, made where it is not there."""
    python = ENVIRONMENT / "bin" / "python"
    done = ENVIRONMENT / "installed.txt"
    if not done.exists() or done.read_text() != REQUIREMENTS.read_text():
        say(f"installing the peers into {ENVIRONMENT}: a gigabyte or more, once")
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        install = [str(python), "-m", "pip", "install", "--progress-bar", "off", "-r", str(REQUIREMENTS)]
        subprocess.run(install, check=True, stdout=sys.stderr)
        done.write_text(REQUIREMENTS.read_text())
    return python
