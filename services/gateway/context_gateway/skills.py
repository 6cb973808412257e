"""The skills that agents load, from a folder: one directory each, with a SKILL.md that begins with its name and use."""

import re
from dataclasses import dataclass
from pathlib import Path

import structlog
import yaml

NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
LONGEST_NAME = 64
LARGEST = 256 * 1024  # bytes of one SKILL.md
FRONT_MATTER = re.compile(r"\A---\r?\n(.*?)\r?\n---\r?\n", re.DOTALL)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill; `text` is the whole file."""

    name: str
    description: str
    text: str


class Skills:
    """Reads `folder` anew each time: a mounted one changes under a running process. One that is absent is empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[Skill]:
        """Every skill, by name. What is none is left out, and the log says why."""
        names = sorted(path.parent.name for path in self._folder.glob("*/SKILL.md"))
        return [skill for name in names if (skill := self.find(name))]

    def find(self, name: str) -> Skill | None:
        """The skill of that name; None where there is none."""
        if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
            return None
        try:
            return read(self._folder / name / "SKILL.md")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, yaml.YAMLError) as error:
            log.warning("skill_left_out", skill=name, reason=str(error))
            return None


def read(path: Path) -> Skill:
    """The skill in a file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is too large, no UTF-8, or has no name and description, or another name than its directory.
        YAMLError: Its front matter is no YAML.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST} bytes")
    text = content.decode()
    match = FRONT_MATTER.match(text)
    fields = yaml.safe_load(match[1]) if match else None
    if not isinstance(fields, dict) or not fields.get("description"):
        raise ValueError("it does not begin with a name and a description")
    if fields.get("name") != path.parent.name:
        raise ValueError(f"its name is {fields.get('name')!r}, its directory's {path.parent.name!r}")
    return Skill(path.parent.name, str(fields["description"]), text)
