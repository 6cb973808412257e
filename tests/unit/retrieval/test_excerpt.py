"""What is shown of a passage reads as its text did."""

from context_retrieval.excerpt import excerpt

PASSAGE = "Root cause:\nThe LDAP server\n\nResolution:\nwas never the cause. We moved to OIDC\n\nSymptoms:\nNo logins."


def test_what_follows_is_shown_as_far_as_there_is_room() -> None:
    assert excerpt("One pool. It ran dry. Nobody saw it.", ["dry"], 30) == "It ran dry. Nobody saw it."
    assert excerpt("One pool. It ran dry. Nobody saw it.", ["dry"], 15) == "It ran dry."


def test_author_and_source_are_left_out() -> None:
    about = "Author:\nAda Pool\n\nSource:\ngit:f99#docs/adr/0003-one-pool.md"
    assert excerpt(f"Decision:\nIt ran dry.\n\n{about}", ["one", "pool"], 200) == "It ran dry."
    assert excerpt(f"Decision:\nIt ran dry.\n\n{about.partition('Source')[0].strip()}", ["pool"], 200) == "It ran dry."
    assert excerpt(f"It ran dry.\n\n{about[about.index('Source') :]}", ["pool"], 200) == "It ran dry."
    assert excerpt(about, ["pool"], 200) == ""
    inside = "Decision:\nSource:\none pool of all.\n\nOutcome:\nNone."
    assert excerpt(inside, ["pool"], 200) == "one pool of all. · None."


def test_fields_do_not_run_into_each_other() -> None:
    shown = excerpt(PASSAGE, ["ldap"], 200)
    assert shown == "The LDAP server · was never the cause. We moved to OIDC · No logins."
