"""The skills that teach agents to ask and to record."""

import asyncio
from typing import cast

from fastapi import Request
from starlette.responses import PlainTextResponse, Response

from context_common.errors import NotFound
from context_gateway.answers import page
from context_gateway.api import router
from context_gateway.openapi import answered
from context_gateway.schemas import shapes
from context_gateway.skills import Skills

routes = router("Skills")


class Markdown(PlainTextResponse):
    """Markdown, in UTF-8."""

    media_type = "text/markdown"


def skills(request: Request) -> Skills:
    """The folder of SKILLS_PATH."""
    return cast("Skills", request.app.state.skills)


@routes.get(
    "/api/skills",
    operation_id="list_skills",
    summary="The skills that agents may load",
    responses=answered(shapes.page_of("SkillPage", shapes.Skill)),
)
async def list_skills(request: Request) -> Response:
    """Name and description of each: what it does, and when an agent should load it."""
    found = await asyncio.to_thread(skills(request).all)
    shown: list[shapes.Skill] = [{"name": skill.name, "description": skill.description} for skill in found]
    return page(shown)


@routes.get(
    "/api/skills/{name}",
    operation_id="get_skill",
    summary="One skill: its SKILL.md as it is",
    response_class=Markdown,
)
async def get_skill(request: Request, name: str) -> Response:
    """Markdown."""
    skill = await asyncio.to_thread(skills(request).find, name)
    if skill is None:
        raise NotFound
    return Markdown(skill.text)
