"""The batcher: who goes first, what shares a batch, what is refused and what is dropped."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager

import numpy as np
import pytest

from context_common.errors import Overloaded
from context_embedding.batcher import NICE, Batcher
from context_embedding.encoder import Tokens, Vectors

MOST = 64


class Model:
    """Gives each text its length as a vector, one batch each time it is let go, and keeps the batches' lengths."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.let_go = threading.Semaphore(0)
        self.fails = False

    def run(self, batch: Sequence[Tokens]) -> Vectors:
        self.batches.append([len(tokens.ids) for tokens in batch])
        self.begun.release()
        assert self.let_go.acquire(timeout=10)
        if self.fails:
            raise ValueError("broken")
        return np.array([[len(tokens.ids)] for tokens in batch], dtype=np.float32)

    async def first_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=10)

    def run_on(self) -> None:
        self.let_go.release(1000)


@asynccontextmanager
async def working(model: Model, workers: int = 1) -> AsyncIterator[Batcher]:
    batcher = Batcher(model.run, workers=workers, most_tokens=MOST, interactive_queue=100, bulk_queue=100_000)
    task = asyncio.create_task(batcher.work())
    try:
        yield batcher
    finally:
        model.run_on()
        task.cancel()


def text(length: int) -> Tokens:
    return Tokens([1] * length, truncated=False)


async def asked(batcher: Batcher, *lengths: int, interactive: bool = True) -> "asyncio.Task[list[int]]":
    """A caller who has joined the queue."""

    async def ask() -> list[int]:
        done = await batcher.embed([text(length) for length in lengths], interactive=interactive)
        return [int(one.vector[0]) for one in done]

    task = asyncio.create_task(ask())
    await asyncio.sleep(0)
    return task


async def test_callers_share_a_batch_and_each_gets_its_own_in_order() -> None:
    model = Model()
    async with working(model) as batcher:
        first = await asked(batcher, 1)
        await model.first_begun()
        callers = [await asked(batcher, 15, 13), await asked(batcher, 14), await asked(batcher, 16)]
        model.run_on()
        assert [await caller for caller in callers] == [[15, 13], [14], [16]]
        assert await first == [1]
    assert sorted(model.batches[1]) == [13, 14, 15, 16]
    assert len(model.batches) == 2


async def test_a_short_text_is_not_filled_up_with_blanks_to_go_with_long_ones() -> None:
    model = Model()
    async with working(model) as batcher:
        first = await asked(batcher, 1)
        await model.first_begun()
        rest = await asked(batcher, 20, 10, 21, 11)
        model.run_on()
        assert await rest == [20, 10, 21, 11]
        await first
    assert [sorted(batch) for batch in model.batches[1:]] == [[20, 21], [10, 11]]


async def test_a_batch_holds_no_more_padded_tokens_than_allowed_and_texts_of_like_length() -> None:
    model = Model()
    async with working(model) as batcher:
        first = await asked(batcher, 1)
        await model.first_begun()
        rest = await asked(batcher, 30, 2, 31, 2, 32, 2)
        model.run_on()
        assert await rest == [30, 2, 31, 2, 32, 2]
        await first
    assert all(len(batch) * max(batch) <= MOST for batch in model.batches)
    assert [sorted(batch) for batch in model.batches[1:]] == [[30, 31], [2, 2, 2], [32]]


async def test_a_text_longer_than_a_batch_goes_alone() -> None:
    model = Model()
    async with working(model) as batcher:
        caller = await asked(batcher, MOST * 2)
        model.run_on()
        assert await caller == [MOST * 2]
    assert model.batches == [[MOST * 2]]


async def test_a_short_question_behind_a_large_request_is_next() -> None:
    model = Model()
    async with working(model) as batcher:
        large = await asked(batcher, *[60] * 64)
        await model.first_begun()
        short = await asked(batcher, 3)
        model.run_on()
        assert await short == [3]
        assert model.batches[:2] == [[60], [3]]
        assert await large == [60] * 64


async def test_large_requests_take_turns() -> None:
    model = Model()
    async with working(model) as batcher:
        first = await asked(batcher, *[60] * 5)
        await model.first_begun()
        second = await asked(batcher, *[61] * 5)
        model.run_on()
        await asyncio.gather(first, second)
    assert model.batches == [[60], *[[60], [61]] * 4, [61]]


async def test_a_large_request_gets_on_while_short_ones_keep_coming() -> None:
    model = Model()
    async with working(model) as batcher:
        large = await asked(batcher, *[60] * 2)
        await model.first_begun()
        short = [await asked(batcher, 3)]
        while model.batches.count([60]) < 2:  # one is always there before the one that is read is over
            short.append(await asked(batcher, 3))
            model.let_go.release()
            await model.first_begun()
            assert len(short) < 60 / 3 + 3
        model.run_on()
        await asyncio.gather(large, *short)


async def test_a_question_does_not_wait_for_bulk_work_nor_bulk_work_for_questions() -> None:
    model = Model()
    async with working(model) as batcher:
        bulk = await asked(batcher, *[MOST] * 2, interactive=False)
        await model.first_begun()
        questions = await asked(batcher, *[MOST - 1] * 2)
        await model.first_begun()
        assert model.batches == [[MOST], [MOST - 1]]  # both under way, neither over
        model.run_on()
        await asyncio.gather(bulk, questions)


async def test_as_many_batches_run_at_once_as_there_are_workers() -> None:
    model = Model()
    async with working(model, workers=2) as batcher:
        callers = [await asked(batcher, MOST - number) for number in range(3)]
        for _ in range(2):
            await model.first_begun()
        assert model.batches == [[MOST], [MOST - 1]]
        model.run_on()
        assert await asyncio.gather(*callers) == [[MOST], [MOST - 1], [MOST - 2]]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux only")
async def test_bulk_work_stands_back() -> None:
    found: dict[int, int] = {}

    def run(batch: Sequence[Tokens]) -> Vectors:
        found[len(batch[0].ids)] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        return np.zeros((len(batch), 1), np.float32)

    batcher = Batcher(run, workers=1, most_tokens=MOST, interactive_queue=100, bulk_queue=100)
    task = asyncio.create_task(batcher.work())
    await (await asked(batcher, 1))
    await (await asked(batcher, 2, interactive=False))
    task.cancel()
    assert found == {1: os.getpriority(os.PRIO_PROCESS, 0), 2: os.getpriority(os.PRIO_PROCESS, 0) + NICE}


async def test_a_full_queue_refuses_at_once_and_has_room_again_when_a_request_ends() -> None:
    batcher = Batcher(Model().run, workers=1, most_tokens=MOST, interactive_queue=100, bulk_queue=10)
    with batcher.admit(60, interactive=True):
        with pytest.raises(Overloaded) as caught, batcher.admit(41, interactive=True):
            pass
        assert caught.value.retry_after
        with batcher.admit(40, interactive=True), batcher.admit(10, interactive=False):
            pass
    with batcher.admit(100, interactive=True):
        pass


async def test_a_large_request_takes_no_room_from_small_ones() -> None:
    batcher = Batcher(Model().run, workers=1, most_tokens=MOST, interactive_queue=100, bulk_queue=10)
    with ExitStack() as held:
        held.enter_context(batcher.admit(1000, interactive=True))
        for _ in range(4):
            held.enter_context(batcher.admit(25, interactive=True))
        held.enter_context(batcher.admit(3, interactive=True))
        for refused in (26, 25):
            with pytest.raises(Overloaded):
                held.enter_context(batcher.admit(refused, interactive=True))


async def test_one_request_is_admitted_however_large() -> None:
    batcher = Batcher(Model().run, workers=1, most_tokens=MOST, interactive_queue=100, bulk_queue=10)
    with batcher.admit(1000, interactive=False), pytest.raises(Overloaded), batcher.admit(1, interactive=False):
        pass


async def test_callers_who_left_are_dropped() -> None:
    model = Model()
    async with working(model) as batcher:
        first = await asked(batcher, 1)
        await model.first_begun()
        gone, stays = await asked(batcher, 20, 21), await asked(batcher, 22)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        model.run_on()
        assert await stays == [22]
        await first
    assert model.batches == [[1], [22]]


async def test_a_model_that_fails_fails_its_batch_and_goes_on() -> None:
    model = Model()
    async with working(model) as batcher:
        model.fails = True
        model.run_on()
        with pytest.raises(ValueError, match="broken"):
            await (await asked(batcher, 3))
        model.fails = False
        assert await (await asked(batcher, 4)) == [4]
