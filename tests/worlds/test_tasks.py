"""Tasks that are told to end do end."""

import asyncio

import pytest

from redislab.worlds.tasks import end_task, end_tasks


async def misses_the_first_word(came, told):
    try:
        await came
    except asyncio.CancelledError:
        told.append("first")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        told.append("second")
        raise


async def waits_for_what_comes_as_it_is_told(came, told):
    await asyncio.wait_for(came, 3600)
    await asyncio.sleep(3600)


@pytest.mark.parametrize("work", [misses_the_first_word, waits_for_what_comes_as_it_is_told])
def test_a_task_that_misses_a_word_is_told_again(work):
    async def scene():
        came = asyncio.get_running_loop().create_future()
        told = []
        task = asyncio.create_task(work(came, told))
        for _ in range(3):
            await asyncio.sleep(0)
        if work is waits_for_what_comes_as_it_is_told:
            came.set_result(None)
        await end_task(task)
        assert task.cancelled()
        return told

    told = asyncio.run(asyncio.wait_for(scene(), 10))
    assert told == (["first", "second"] if work is misses_the_first_word else [])


async def fails():
    try:
        await asyncio.sleep(3600)
    finally:
        raise OSError("the peer has gone")


def test_what_a_task_ends_of_instead_is_told():
    async def scene():
        task = asyncio.create_task(fails())
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="the peer has gone"):
            await end_task(task)

    asyncio.run(asyncio.wait_for(scene(), 10))


def test_of_many_tasks_each_is_over_whatever_it_ends_of():
    async def scene():
        tasks = {asyncio.create_task(work) for work in (fails(), asyncio.sleep(3600))}
        await asyncio.sleep(0)
        await end_tasks(tasks)
        assert sorted(task.cancelled() for task in tasks) == [False, True]

    asyncio.run(asyncio.wait_for(scene(), 10))
