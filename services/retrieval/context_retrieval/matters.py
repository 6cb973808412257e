"""What a long question asks about. One vector stands for all of a task, and so for none of the matters in it."""

import re

SEVERAL = 30  # words below which a question is one matter
LEAST = 8  # words of one: a shorter sentence belongs to the one before
MOST = 8
# Sentences, paragraphs and the points of a list. Lines alone are none: those of a log or a trace are one matter.
BORDER = re.compile(r"(?<=[.!?])\s+|\n[ \t]*\n\s*|\n(?=[ \t]*(?:[-*•]|[0-9]{1,3}[.)])[ \t])")


def matters(question: str) -> list[str]:
    """The matters of `question` where it has several, `MOST` at most; each of so many sentences that all come in."""
    if len(question.split(maxsplit=SEVERAL)) <= SEVERAL:
        return []
    found: list[str] = []
    for sentence in filter(None, map(str.strip, BORDER.split(question))):
        if found and min(len(found[-1].split()), len(sentence.split())) < LEAST:
            found[-1] += f" {sentence}"
        else:
            found.append(sentence)
    together = -(-len(found) // MOST)
    several = [" ".join(found[at : at + together]) for at in range(0, len(found), together or 1)]
    return several if len(several) > 1 else []
