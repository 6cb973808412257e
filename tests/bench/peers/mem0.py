"""mem0: its local vector store in the process that asks; texts are stored as they are, without a language model."""

from collections.abc import Sequence
from importlib import import_module

from tests.bench.peers import task


def main() -> None:
    """Measure."""
    documents, questions, place = task.read()
    config = {
        "embedder": {"provider": "huggingface", "config": {"model": task.model(), "embedding_dims": 384}},
        "vector_store": {
            "provider": "qdrant",
            "config": {"path": str(place / "qdrant"), "embedding_model_dims": 384, "on_disk": True},
        },
        "llm": {"provider": "openai", "config": {"api_key": "never used"}},
        "history_db_path": str(place / "history.db"),
    }
    memory = import_module("mem0").Memory.from_config(config)

    def take_in(texts: Sequence[str]) -> None:
        for text in texts:
            memory.add(text, user_id="bench", infer=False)

    task.run(
        documents, questions, take_in, lambda question: memory.search(question, filters={"user_id": "bench"}, top_k=10)
    )


if __name__ == "__main__":
    main()
