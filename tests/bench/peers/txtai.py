"""txtai: a hybrid index in the process that asks."""

from collections.abc import Sequence
from importlib import import_module

from tests.bench.peers import task


def main() -> None:
    """Measure."""
    documents, questions, _ = task.read()
    index = import_module("txtai").Embeddings(path=task.model(), hybrid=True, content=False)

    def take_in(texts: Sequence[str]) -> None:
        index.index([(number, text, None) for number, text in enumerate(texts)])

    task.run(documents, questions, take_in, lambda question: index.search(question, 10))


if __name__ == "__main__":
    main()
