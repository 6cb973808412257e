"""Tags are found by whole words."""

from pathlib import Path

import pytest

from context_knowledge.tags import MOST, Vocabulary

VOCABULARY = Vocabulary(
    {
        "database": ["postgres", "sql"],
        "security": ["auth"],
        "frontend": ["react", "front end"],
        "testing": ["test"],
        "performance": ["latency", "cache"],
        "rate-limiting": ["rate limit"],
        "networking": ["dns", "proxy"],
    }
)


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("Use Postgres", {"database"}),
        ("DATABASES, (sql)", {"database"}),
        ("two caches and three proxies", {"performance", "networking"}),
        ("feedback from the build author", set()),
        ("latest stable download", set()),
        ("rate limit", {"rate-limiting"}),
        ("rate-limits", {"rate-limiting"}),
        ("ratelimit", {"rate-limiting"}),
        ("rate-limiting", {"rate-limiting"}),
        ("the rate has a limit", set()),
        ("a front-end, a frontend", {"frontend"}),
        ("dn", set()),
        ("", set()),
    ],
)
def test_whole_words_count(text: str, tags: set[str]) -> None:
    assert set(VOCABULARY.find("", [text])) == tags
    assert set(VOCABULARY.find(text, [])) == tags


def test_the_title_weighs_more() -> None:
    assert VOCABULARY.find("React", ["sql, sql"]) == ("frontend", "database")


def test_there_are_not_too_many() -> None:
    many = Vocabulary({f"tag{n}": [] for n in range(20)})
    assert len(many.find("", [" ".join(f"tag{n}" for n in range(20))])) == MOST


def test_the_shipped_vocabulary_knows_its_subjects() -> None:
    shipped = Vocabulary.load()
    assert shipped.find("Use PostgreSQL for the data", []) == ("database",)
    assert "kubernetes" in shipped.find("Pods on k8s", [])
    assert shipped.find("feedback from the build author: latest stable download", []) == ()


def test_a_vocabulary_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('payments = ["card", "invoice"]')
    assert Vocabulary.load(str(path)).find("Invoices", []) == ("payments",)


@pytest.mark.parametrize("content", ["payments = 1", "payments = [1]", "[payments]\na = 1", "= nonsense"])
def test_a_broken_vocabulary_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"mine\.toml|line 1"):
        Vocabulary.load(str(path))
