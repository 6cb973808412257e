"""The skills, through a real gateway."""

from pathlib import Path

import pytest

from tests.support.gateway import serve

pytestmark = pytest.mark.asyncio(loop_scope="module")
SHIPPED = Path(__file__).parents[3] / "skills"


async def test_agents_get_the_skills_of_the_folder_that_the_settings_name() -> None:
    async with serve(skills_path=SHIPPED) as gateway:
        listed = (await gateway.http.get("/api/skills")).json()
        assert [item["name"] for item in listed["items"]] == ["context-query", "context-recording"]
        assert all(item["description"] for item in listed["items"])
        one = await gateway.http.get("/api/skills/context-query")
        assert one.headers["content-type"] == "text/markdown; charset=utf-8"
        assert one.text == (SHIPPED / "context-query" / "SKILL.md").read_text()
        for name in ("absent", "..%2Fcontext-query", "%2e%2e"):
            assert (await gateway.http.get(f"/api/skills/{name}")).status_code == 404


async def test_without_a_folder_there_are_none(tmp_path: Path) -> None:
    async with serve(skills_path=tmp_path / "none") as gateway:
        assert (await gateway.http.get("/api/skills")).json() == {"items": [], "next_cursor": None}
