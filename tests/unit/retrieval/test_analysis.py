"""Words and identifiers are the same whether they are indexed or asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context_retrieval.analysis import ALIKE, analyse, codes_in, ids_in, lexeme_literal, only_ids, subject


@pytest.mark.parametrize(
    ("text", "words", "identifiers"),
    [
        ("UserService starts", {"userservice", "user", "service", "starts"}, set()),
        ("store_item.py", {"store", "item", "py"}, {"store_item.py", "store_item"}),
        ("in services/retrieval/store.py", {"services", "store", "py"}, {"services/retrieval/store.py", "store.py"}),
        ("ADR-012", {"adr", "012"}, {"adr-12"}),
        ("adr-12", {"adr", "12"}, {"adr-12"}),
        ("Postgres 17.2 and C++", {"postgres", "17", "2", "c"}, {"17.2", "c++"}),
        ("HTTPServer", {"httpserver", "http", "server"}, set()),
        ("ECONNREFUSED (42P01)", {"econnrefused", "42p01"}, set()),
        ("f99498f3aa01", {"f99498f3aa01"}, {"f99498f"}),
        ("東京都", {"東京", "京都"}, set()),
        ("カフカはどうですか", {"カフ", "フカ", "カは"}, set()),
        ("don't <b>stop</b>", {"don", "t", "stop"}, set()),
    ],
)
def test_what_a_text_is_found_by(text: str, words: set[str], identifiers: set[str]) -> None:
    analysis = analyse(text)
    assert words <= set(analysis.plain.split())
    assert identifiers == set(analysis.identifiers)


def test_what_japanese_has_between_its_words_is_none() -> None:
    assert analyse("天気はどうですか").plain == "天気 気は"
    assert analyse("Postgresはどう").plain == "postgres"


@given(st.text())
def test_postgres_gets_nothing_but_words(text: str) -> None:
    analysis = analyse(text)
    assert all(part.isalnum() for part in analysis.plain.split())
    assert analysis.length == len(analysis.plain.split())
    assert not any(set(identifier) & set("'\\ \n\0") for identifier in analysis.identifiers)


def test_a_huge_text_still_fits_an_index_entry() -> None:
    analysis = analyse(" ".join(f"word{number} some_name_{number}" for number in range(100_000)))
    assert len(analysis.plain.encode()) <= 200_000
    assert sum(map(len, analysis.identifiers)) <= 200_000


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("what does ADR-012 say", ["adr-012"]),
        ("adr 12", ["adr-012"]),
        ("see Adr12", ["adr-012"]),
        ("failure #3 and FAIL-0042", ["fail-003", "fail-042"]),
        ("FAIL-zeta", ["fail-zeta"]),
        ("meeting 7", ["meet-007"]),
        ("what about failure 12?", ["fail-012"]),
        ("see failure 012 for it", ["fail-012"]),
        ("snap7 and fail#2", ["snap-007", "fail-002"]),
        ("cooking pasta failure 2 minutes too long", []),
        ("the login test had a failure 3 times in a row", []),
        ("fail 4, pass 120", []),
        ("after failure 1.5 seconds went by", []),
        ("quadr 12", []),
        ("adr 12th of May", []),
    ],
)
def test_ids_are_found_as_people_write_them(text: str, ids: list[str]) -> None:
    assert set(ids) <= set(ids_in(text))
    assert len(ids_in(text)) <= 2 * len(ids)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("we get ECONNREFUSED", ["econnrefused"]),
        ("SQLSTATE 42P01", ["42p01"]),
        ("SERVFAIL, ECONNRESET and ENOSPC", ["servfail", "econnreset", "enospc"]),
        ("ORA-00942 in PROD", ["ora-942"]),
        ("column pg_stat_activity.state", ["pg_stat_activity"]),
        ("java.lang.NullPointerException", ["java.lang.nullpointerexception", "nullpointerexception"]),
        ("CrashLoopBackOff", ["crashloopbackoff"]),
        ("a TimeoutError", ["timeouterror"]),
        ("pod web-7d9f8c6b5x-x2x4z of request mk002x00001z", ["web-7d9f8c6b5x-x2x4z", "mk002x00001z"]),
        ("trace 3f2504e0-4f89-11d3-9a0c-0305e82c3301", ["3f2504e0-4f89-11d3-9a0c-0305e82c3301"]),
        ("k8s 1.31 with ipv6, sha256 and utf-8, up after 2h30m, in eu-west-1", []),
        ("2026-11-28T09:10:47Z ECONNRESET", ["econnreset"]),
        ("2026-11-28T09:10:47.123Z, 2026-11-28 09:10:47,123 and 2026-11-28T09:10:47+02:00", []),
        ("20261128T091047Z, 2026-11-28t091047z, 47Z, 123Z, 28T09", []),
        ("10MB within 500MS, a 5XX after 12h30m", []),
        ("PLEASE answer IMMEDIATELY", []),
        ("EXPLAIN, ALTER TABLE with a CONSTRAINT that REFERENCES another", []),
        ("AWS and RDS in 2024, GitHub, example.com, e.g. plain words", []),
    ],
)
def test_codes_stand_for_one_thing(text: str, codes: list[str]) -> None:
    assert list(codes_in(text)) == codes


@pytest.mark.parametrize("text", ["is ADR-777 still valid?", "ADR-99999: is it done?", "adr 7", "status of FAIL-012"])
def test_a_question_may_name_an_id_and_nothing_else(text: str) -> None:
    assert only_ids(text)
    assert subject(text) == text


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("is ADR-777 fast?", "is fast?"),
        ("does FAIL-012 concern adr 3 and the pool", "does concern and the pool"),
        ("2026-11-28T09:10:47.123Z pool exhausted", "pool exhausted"),
        ("[2026-11-28 09:10:47,123] pool exhausted", "pool exhausted"),
        ("ADR-777: fast (see FAIL-012)?", "fast (see )?"),
        ("20261128T091047+0200 09:10:47 pool", "pool"),
        ("what happened at 2026-11-28T09:10:47Z?", "what happened at 2026-11-28T09:10:47Z?"),
        ("released 2026-11-28", "released 2026-11-28"),
        ("mac 00:11:22:33:44:55", "mac 00:11:22:33:44:55"),
        ("PAY-123 fails", "PAY-123 fails"),
    ],
)
def test_ids_and_times_of_a_log_are_not_what_a_question_is_about(text: str, about: str) -> None:
    assert subject(text).split() == about.split()


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("who owns authz?", {"authz": ("authorization", "authorisation")}),
        ("Kubernetes", {"kubernetes": ("k8s",)}),
        ("two-factor", {"two-factor": ("2fa", "mfa", "multi-factor")}),
        ("plain words", {}),
    ],
)
def test_some_words_mean_the_same(text: str, alike: dict[str, tuple[str, ...]]) -> None:
    assert analyse(text).alike == alike


def test_what_means_the_same_is_written_as_a_text_has_it() -> None:
    for word in {*ALIKE, *(other for others in ALIKE.values() for other in others)}:
        said = analyse(word)
        assert word in (*said.plain.split(), *said.identifiers)


@pytest.mark.parametrize(
    ("text", "asking"),
    [
        ("Why did we choose Postgres?", {"choose"}),
        ("have we seen this timeout before?", {"seen"}),
        ("What was the reason for the decision on ids?", {"reason", "decision"}),
        ("We choose Postgres, for a reason.", set()),
        ("decision records", set()),
        ("", set()),
    ],
)
def test_some_words_of_a_question_only_say_what_is_asked_for(text: str, asking: set[str]) -> None:
    assert analyse(text).asking == asking


def test_identifiers_become_a_tsvector() -> None:
    assert lexeme_literal([(["a-b", "c.d"], "A"), (["a-b"], "D")]) == "'a-b':1A,3D 'c.d':2A"
    assert lexeme_literal([]) == ""
