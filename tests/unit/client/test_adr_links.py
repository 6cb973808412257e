"""What records say of each other, and which record they mean."""

import subprocess
from pathlib import Path

import pytest

from context_client import git
from context_client.adr.claims import Relation, in_prose, in_statement
from context_client.adr.corpus import Names
from context_client.imports.adrs import Plan, plan

GIT = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]


def page(title: str, status: str = "Accepted", decision: str = "Yes.", date: str = "Date: 2020-01-02") -> str:
    return f"# {title}\n\n{date}\n\n## Status\n\n{status}\n\n## Decision\n\n{decision}\n"


def write(directory: Path, **pages: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (directory / f"{name.removeprefix('n').replace('_', '-')}.md").write_text(text)
    return directory


def edges(planned: Plan) -> set[tuple[str, str, str]]:
    paths = [record.path.stem for record in planned.found.records]
    return {(paths[edge.start], edge.type, paths[edge.end]) for edge in planned.edges}


@pytest.mark.parametrize(
    ("text", "relation", "target"),
    [
        ("Superseded by [7](0007-a.md)", Relation.SUPERSEDED_BY, "0007-a.md"),
        ("Superseded [0019](0019-a.md)", Relation.SUPERSEDED_BY, "0019-a.md"),
        ("Superceded by [7](0007-a.md)", Relation.SUPERSEDED_BY, "0007-a.md"),
        ("superseded by ADR-0123", Relation.SUPERSEDED_BY, "0123"),
        ("superseded by ADR 12", Relation.SUPERSEDED_BY, "12"),
        ("Superseded by 0007", Relation.SUPERSEDED_BY, "0007"),
        ("Superseded by #7", Relation.SUPERSEDED_BY, "7"),
        ("Superseded by\n[7](0007-a.md)", Relation.SUPERSEDED_BY, "0007-a.md"),
        ("Replaced by [7](0007-a.md)", Relation.SUPERSEDED_BY, "0007-a.md"),
        ("Supersedes [3](0003-a.md)", Relation.SUPERSEDES, "0003-a.md"),
        ("Partially supersedes [3](0003-a.md)", Relation.RELATES, "0003-a.md"),
        ("Supersedes in part [3](0003-a.md)", Relation.RELATES, "0003-a.md"),
        ("Superseded in part by [3](0003-a.md)", Relation.RELATED_BY, "0003-a.md"),
        ("Amends [10. Name](0010-a.md)", Relation.RELATES, "0010-a.md"),
        ("Amended by [17. Name](0017-a.md)", Relation.RELATED_BY, "0017-a.md"),
        ("Clarified by [17](0017-a.md)", Relation.RELATED_BY, "0017-a.md"),
        ("Superseded by [20200101-a-name]", Relation.SUPERSEDED_BY, "20200101-a-name"),
        ("See <0003-a.md>", Relation.MENTIONS, "0003-a.md"),
    ],
)
def test_a_statement_says_how_it_bears_on_the_other(text: str, relation: Relation, target: str) -> None:
    assert [(c.relation, c.target) for c in in_statement(text, numbers=True)] == [(relation, target)]


def test_a_verb_governs_its_sentence_only() -> None:
    text = "Accepted 2020.\n\nSupersedes [1](0001-a.md), [2](0002-a.md). See [3](0003-a.md)\nAmended by [4](0004-a.md)"
    assert [(c.relation.value, c.target[:4]) for c in in_statement(text, numbers=True)] == [
        ("supersedes", "0001"), ("supersedes", "0002"), ("mentions", "0003"), ("related_by", "0004"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("These ranges have been superseded by [ADR #0033](0033-a.md).", [("mentions", "0033-a.md")]),
        ("This ADR in part supersedes [0003](0003-a.md).", [("relates", "0003-a.md")]),
        (
            "This decision supersedes [0003](0003-a.md). Compare ADR-4.",
            [("supersedes", "0003-a.md"), ("mentions", "4")],
        ),
        ("This record was superseded long ago; [0003](0003-a.md) knows.", [("mentions", "0003-a.md")]),
        ("consistent with ADR-43.", [("mentions", "43")]),
        ("MADR 4.0.0 and ADR 2.1", []),
        ("superseded-by-ADR-0006 badges", []),
        ("Write `ADR-0001` or `[x](0001-a.md)`", []),
        ("![diagram](0015-a.md)", []),
        ("~~See [3](0003-a.md)~~", []),
    ],
)
def test_free_text_only_mentions_unless_it_is_about_itself(text: str, found: list[tuple[str, str]]) -> None:
    assert [(c.relation.value, c.target) for c in in_prose(text)] == found


def test_links_become_edges(tmp_path: Path) -> None:
    directory = write(
        tmp_path / "site",
        n0001_broker=page("1. Broker", "Superseded by [Two brokers](0002-two.md)"),
        n0002_two=page("2. Two brokers", "Accepted\n\nSupersedes [1](0001-broker.md)"),
        n0003_net=page("3. Net", "Partly superseded"),
        n0004_ranges=page(
            "3. Net", decision="This ADR in part supersedes [0003](0003-net.md). So said [3](0003-net.md)."
        ),
        n0005_data=page("5. Data", "Accepted\n\nAmended by [6](0006-more.md)"),
        n0006_more=page("6. More", "Accepted\n\nAmends [5](./0005-data.md#decision)", "Under [ADR 5](0005-data.md)."),
        n0007_test=page(
            "7. Test", decision="As ADR-43 and [this](0001-broker) and [that](0099-gone.md) and ADR-7 say."
        ),
        n0043_kms=page("43. KMS", "Superseded by 44"),
        n0044_mfa=page("44. MFA"),
    )
    assert edges(plan([directory])) == {
        ("0002-two", "supersedes", "0001-broker"),
        ("0004-ranges", "related_to", "0003-net"),
        ("0006-more", "related_to", "0005-data"),
        ("0007-test", "references", "0043-kms"),
        ("0007-test", "references", "0001-broker"),
        ("0044-mfa", "supersedes", "0043-kms"),
    }


def test_one_that_holds_in_part_is_not_superseded_by_the_word_of_another(tmp_path: Path) -> None:
    old, new = page("1. Old", "Partly superseded by [2](0002-new.md)"), page("2. New", "Supersedes [1](0001-old.md)")
    directory = write(tmp_path / "site", n0001_old=old, n0002_new=new)
    assert edges(plan([directory])) == {("0002-new", "related_to", "0001-old")}


def test_code_links_to_nothing(tmp_path: Path) -> None:
    text = page("1. A", decision="Write:\n\n```markdown\nSee [2](0002-b.md) and ADR-2.\n```\n")
    assert edges(plan([write(tmp_path / "site", n0001_a=text, n0002_b=page("2. B"))])) == set()


def test_log4brains_links_and_links_between_folders(tmp_path: Path) -> None:
    write(tmp_path / "site" / "web", n20200101_old_way=page("Old way", date=""))
    write(
        tmp_path / "site" / "core",
        n20200203_new_way=page("New way", "Accepted", "As [20200102-other-way] and [web](../web/20200101-old-way.md)."),
        n20200102_other_way=page("Other way"),
    )
    assert edges(plan([tmp_path / "site"])) == {
        ("20200203-new-way", "references", "20200102-other-way"),
        ("20200203-new-way", "references", "20200101-old-way"),
    }


def test_numbers_mean_the_record_beside_and_no_number_that_two_have(tmp_path: Path) -> None:
    write(tmp_path / "a", n0001_x=page("1. X"), n0002_y=page("2. Y", decision="See ADR-1."))
    write(tmp_path / "b", n0001_x=page("1. X"), n0001_z=page("1. Z"), n0002_y=page("2. Y", decision="See ADR-1."))
    planned = plan([tmp_path / "a", tmp_path / "b"])
    assert [(planned.source(e.start), planned.source(e.end)) for e in planned.edges] == [
        (str(tmp_path / "a/0002-y.md"), str(tmp_path / "a/0001-x.md"))
    ]


def uris(*directories: Path, project: str = "") -> list[str]:
    return plan(directories, project).found.source_uris


def test_a_records_name_does_not_depend_on_where_it_is_called_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = write(tmp_path / "one" / "payments" / "docs" / "adr", n0001_a=page("1. A"))
    expected = ["folder:payments#docs/adr/0001-a.md"]
    assert uris(directory) == expected
    assert uris(tmp_path / "one") == expected
    assert uris(directory / "0001-a.md") == expected
    monkeypatch.chdir(directory.parent)
    assert uris(Path("adr")) == uris(Path("./adr/../adr")) == expected
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "payments").rename(tmp_path / "two" / "payments")
    assert uris(tmp_path / "two") == expected


def test_two_projects_with_the_same_file_names_keep_apart(tmp_path: Path) -> None:
    for name in ("web", "billing"):
        write(tmp_path / name / "adr", n0001_a=page("1. A"))
    assert uris(tmp_path) == ["folder:billing#adr/0001-a.md", "folder:web#adr/0001-a.md"]


def test_what_cannot_be_told_apart_is_left_out_with_a_way_out(tmp_path: Path) -> None:
    for name in ("x", "y"):
        write(tmp_path / name / "same", n0001_a=page("1. A"))
    planned = plan([tmp_path / "x", tmp_path / "y"])
    assert len(planned.items) == 1
    assert "--project" in planned.found.left_out[0].reason
    assert uris(tmp_path / "y", project="why") == ["project:why#same/0001-a.md"]


def test_in_git_the_repository_names_it(tmp_path: Path) -> None:
    directory = write(tmp_path / "repo" / "docs" / "adr", n0001_a=page("1. A", date=""))
    subprocess.run([*GIT, "init", "-q", str(tmp_path / "repo")], check=True)
    subprocess.run([*GIT, "-C", str(tmp_path / "repo"), "add", "."], check=True)
    commit = ["commit", "-q", "--date=2021-03-04T05:06:07Z", "-m", "one"]
    subprocess.run([*GIT, "-C", str(tmp_path / "repo"), *commit], check=True)
    (planned,) = plan([directory]).items
    assert planned["created_date"] == "2021-03-04"
    first = planned["source_uri"]
    assert first.startswith("git:")
    subprocess.run([*GIT, "clone", "-q", str(tmp_path / "repo"), str(tmp_path / "clone")], check=True)
    assert uris(tmp_path / "clone" / "docs") == [first]
    remote = ["remote", "set-url", "origin", "https://ada:secret@Example.org/team/site.git"]
    subprocess.run([*GIT, "-C", str(tmp_path / "clone"), *remote], check=True)
    assert uris(tmp_path / "clone") == ["https://example.org/team/site#docs/adr/0001-a.md"]
    write(tmp_path / "clone" / "docs" / "adr", n0002_b=page("2. B", decision=(
        "See <https://example.org/team/site/blob/main/docs/adr/0001-a.md> and"
        " [not ours](https://example.org/other/site/blob/main/docs/adr/0001-a.md)."
    )))  # fmt: skip
    assert edges(plan([tmp_path / "clone"])) == {("0002-b", "references", "0001-a")}


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("git@github.com:team/site.git", "https://github.com/team/site"),
        ("ssh://git@github.com:22/team/site.git", "https://github.com/team/site"),
        ("https://user:token@GitHub.com/team/site/", "https://github.com/team/site"),
        ("/srv/git/site.git", ""),
        ("file:///srv/git/site.git", ""),
        ("../site", ""),
        ("C:\\git\\site", ""),
    ],
)
def test_remotes(remote: str, address: str) -> None:
    assert git.web_address(remote) == address


def test_names_ask_git_once_for_a_folder(tmp_path: Path) -> None:
    names = Names()
    assert names.repository(tmp_path) is None
    assert names.source_uri(tmp_path / "a b" / "ü.md", tmp_path) == "folder:a%20b#%C3%BC.md"


def test_records_come_by_number_within_their_folder(tmp_path: Path) -> None:
    directory = write(tmp_path / "site", n10_j=page("J"), n9_i=page("I"), nzoo=page("Zoo"), n1_a=page("A"))
    assert [record.path.stem for record in plan([directory]).found.records] == ["1-a", "9-i", "10-j", "zoo"]
