"""What an image does by itself, read from its Dockerfile: entry point and environment."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.helm import code

ROOT = Path(__file__).parents[3]
ELSEWHERE = {"cli": ROOT / "deploy" / "ops" / "Dockerfile"}


@dataclass(frozen=True)
class Image:
    """One of ours."""

    entrypoint: tuple[str, ...]
    environment: Mapping[str, str]


@cache
def image(reference: str) -> Image:
    """What is behind a reference such as `registry/context-gateway:0.1.0`."""
    name = code.program_of(reference)
    path = ELSEWHERE.get(name, ROOT / "services" / name / "Dockerfile")
    last = path.read_text().replace("\\\n", " ").rpartition("\nFROM ")[2]
    words = [word for line in re.findall(r"^ENV (.*)$", last, re.MULTILINE) for word in shlex.split(line)]
    environment = dict(word.split("=", 1) for word in words)
    [entrypoint] = re.findall(r"^ENTRYPOINT (\[.*\])$", last, re.MULTILINE)
    return Image(tuple(json.loads(entrypoint)), environment)
