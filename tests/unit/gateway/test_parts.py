"""The pieces that need no server: settings, preferences, versions, lines, JSON."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from context_common.errors import Stale
from context_gateway.answers import Preference, expected_version, preference
from context_gateway.bodies import parse
from context_gateway.ingest import LINE, Lines
from context_gateway.problems import Refused, field_name, public_name
from context_gateway.schemas.items import ADR, MEETING, AdrChange, MeetingChange, to_item, to_mask
from context_gateway.settings import Settings


def test_settings_have_a_default_for_everything() -> None:
    settings = Settings.from_env({})
    assert (settings.host, settings.port, settings.auth_required, settings.cors_origins) == (
        "127.0.0.1",
        4000,
        False,
        (),
    )


@pytest.mark.parametrize(
    ("given_", "most", "expected"),
    [
        ("", 2.0, Preference(2.0)),
        ("handling=lenient", 2.0, Preference(2.0)),
        ("respond-async, wait=10", 2.0, Preference(0.0, "respond-async")),
        ("wait=1", 2.0, Preference(1.0, "wait=1")),
        ("Wait = 50", 2.0, Preference(2.0, "wait=2")),
        ("wait=50", 120.0, Preference(50.0, "wait=50")),
        ("wait=-1", 120.0, Preference(2.0)),
        ("wait=" + "9" * 4000, 120.0, Preference(2.0)),
    ],
)
def test_a_preference_is_understood_or_ignored(given_: str, most: float, expected: Preference) -> None:
    assert preference(Headers({"prefer": given_}), most) == expected


@pytest.mark.parametrize("tag", ['"0"', '"9223372036854775808"', '"٣"', "W/3", '""', "x" * 5000])
def test_a_tag_that_no_version_has_never_matches(tag: str) -> None:
    with pytest.raises(Stale):
        expected_version(Headers(raw=[(b"if-match", tag.encode("utf-8"))]))


@given(st.lists(st.binary(max_size=20).filter(lambda part: b"\n" not in part), max_size=8), st.integers(1, 7))
def test_lines_are_the_same_however_they_are_cut(parts: list[bytes], size: int) -> None:
    content = b"\n".join(parts)
    lines = Lines()
    found = [line for start in range(0, len(content), size) for line in lines.feed(content[start : start + size])]
    found += lines.end()
    assert [line for _, line in found] == (parts if parts and parts[-1] else parts[:-1])
    assert [number for number, _ in found] == list(range(1, len(found) + 1))


def test_a_line_that_is_too_long_is_dropped_without_being_kept() -> None:
    lines = Lines()
    found = [line for _ in range(4) for line in lines.feed(b"x" * (LINE // 2))]
    assert found == []
    assert len(lines._rest) <= LINE
    assert list(lines.feed(b"y\nz\n")) == [(1, None), (2, b"z")]
    assert list(lines.end()) == []


@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_refused(raw: bytes) -> None:
    with suppress(Refused):
        parse(raw)


def test_a_mask_names_what_was_given_null_or_not() -> None:
    body = AdrChange.model_validate({"title": "t", "context": None, "supersedes": ["ADR-1"]})
    assert list(to_mask(ADR, body).paths) == ["adr.context", "adr.supersedes", "title"]
    item = to_item(ADR, body)
    assert (item.title, item.adr.context, list(item.adr.supersedes)) == ("t", "", ["ADR-001"])


def test_a_meeting_may_be_titled_by_either_name() -> None:
    for name in ("meeting_title", "title"):
        body = MeetingChange.model_validate({name: "t"})
        assert (to_item(MEETING, body).title, list(to_mask(MEETING, body).paths)) == ("t", ["title"])


@pytest.mark.parametrize(
    ("name", "public"),
    [("item.adr.decision", "decision"), ("page_token", "cursor"), ("filter.from_date", "from"), ("title", "title")],
)
def test_the_fields_of_services_have_the_callers_names(name: str, public: str) -> None:
    assert public_name(name) == public


def test_a_place_in_a_body_reads_like_a_path() -> None:
    assert field_name(("decisions", 0, "action_items", 1, "task")) == "decisions[0].action_items[1].task"
    assert field_name(("options_considered", "a", "[key]")) == "options_considered.a"
