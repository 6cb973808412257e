"""One gateway over fakes, per test."""

from collections.abc import AsyncIterator

import pytest

from tests.support.gateway import Gateway, serve


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with serve() as running:
        yield running
