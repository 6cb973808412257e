"""Skills: those we ship are right, and a folder of any content is read safely."""

from pathlib import Path

import pytest

from context_gateway.skills import LARGEST, Skills, read

SHIPPED = Path(__file__).parents[3] / "skills"
TEXT = "---\nname: {name}\ndescription: {description}\n---\n\n# Ask\n"


def put(folder: Path, name: str, text: str | bytes) -> None:
    (folder / name).mkdir()
    (folder / name / "SKILL.md").write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize("name", ["context-query", "context-recording"])
def test_what_we_ship_keeps_to_the_format(name: str) -> None:
    skill = read(SHIPPED / name / "SKILL.md")
    assert skill.name == name
    assert "Use it when" in skill.description or "Use it" in skill.description
    assert len(skill.description) <= 1024
    assert len(skill.text.splitlines()) < 500
    assert "X-Context-Namespace" in skill.text
    assert "$(" not in skill.text  # what a command makes anew is another when it is repeated


def test_skills_are_listed_by_name() -> None:
    assert [skill.name for skill in Skills(SHIPPED).all()] == ["context-query", "context-recording"]


def test_a_folder_that_is_absent_is_empty(tmp_path: Path) -> None:
    assert Skills(tmp_path / "none").all() == []


@pytest.mark.parametrize(
    "text",
    [
        "# no front matter",
        "---\nname: other\ndescription: D\n---\n",
        "---\nname: one\n---\n",
        "---\n: [\n---\n",
        b"\xff\xfe",
        "---\nname: one\ndescription: D\n---\n" + "x" * LARGEST,
    ],
)
def test_what_is_no_skill_is_left_out_and_the_others_stay(tmp_path: Path, text: str | bytes) -> None:
    put(tmp_path, "one", text)
    put(tmp_path, "two", TEXT.format(name="two", description="D"))
    skills = Skills(tmp_path)
    assert [skill.name for skill in skills.all()] == ["two"]
    assert skills.find("one") is None


@pytest.mark.parametrize("name", ["..", "../two", "two/..", "", "TWO", "two\x00", "a" * 65, "-two", "two--x"])
def test_a_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    put(tmp_path, "two", TEXT.format(name="two", description="D"))
    assert Skills(tmp_path).find(name) is None


def test_a_folder_that_changes_is_read_anew_and_yaml_makes_nothing_but_values(tmp_path: Path) -> None:
    skills = Skills(tmp_path)
    put(tmp_path, "two", TEXT.format(name="two", description="first"))
    assert [skill.description for skill in skills.all()] == ["first"]
    (tmp_path / "two" / "SKILL.md").write_text(
        TEXT.format(name="two", description="!!python/object/apply:os.getcwd []")
    )
    assert skills.all() == []
