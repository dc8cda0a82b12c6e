"""TCP's promises and the faults, on the simulated network."""

import asyncio
import errno

import pytest

from redislab.worlds.sim import DeadlockError, Faults, SimLoop
from redislab.worlds.sim.hosts import CURRENT

PORT = 7000
KEPT = []


@pytest.fixture
def loop():
    made = SimLoop(seed=1, faults=Faults(latency_seconds=0.001, jitter_seconds=0.0))
    yield made
    for _, writer in KEPT:
        writer.transport.abort()
    KEPT.clear()
    made.close()


def on(loop, host, coroutine):
    """Run a coroutine as code of a host."""
    context = loop.network.process(host).context.copy()
    return loop.run_until_complete(loop.create_task(coroutine, context=context))


def serve(loop, handler, host="server"):
    on(loop, host, asyncio_start(handler))


async def asyncio_start(handler):
    return await asyncio.start_server(handler, "127.0.0.1", PORT)


def connect(loop, host="client"):
    ends = on(loop, host, asyncio_connect())
    # A writer that the garbage collector finds after its loop is closed complains.
    KEPT.append(ends)
    return ends


async def asyncio_connect():
    return await asyncio.open_connection("127.0.0.1", PORT)


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def never_reads(reader, writer):
    writer.transport.pause_reading()
    KEPT.append((reader, writer))


def test_bytes_arrive_in_order_under_loss_and_jitter():
    faults = Faults(jitter_seconds=0.01, loss_probability=0.2)
    loop = SimLoop(seed=3, faults=faults)
    serve(loop, echo)
    reader, writer = connect(loop)
    sent = bytes(range(256)) * 2000

    async def talk():
        for at in range(0, len(sent), 5000):
            writer.write(sent[at : at + 5000])
        writer.write_eof()
        return await reader.read()

    assert on(loop, "client", talk()) == sent
    loop.close()


def received_after(faults, size, seed=1):
    """When a message of `size` bytes is all there, in seconds after it was sent."""
    loop = SimLoop(seed=seed, faults=faults)
    serve(loop, echo)
    reader, writer = connect(loop)
    began = loop.now
    arrivals = []

    async def talk():
        writer.write(b"x" * size)
        writer.write_eof()
        while await reader.read(65536):
            pass
        sent = [m for m in loop.journal.messages if m.kind == "data" and m.source == "client"]
        arrivals.extend(m.delivered - began for m in sent)

    on(loop, "client", talk())
    writer.transport.abort()
    loop.close()
    return arrivals


def test_a_link_of_limited_bandwidth_takes_its_time():
    quick = Faults(latency_seconds=0.001, jitter_seconds=0.0)
    slow = Faults(latency_seconds=0.001, jitter_seconds=0.0, bandwidth_bytes_per_second=1_000_000)
    assert received_after(quick, 200_000)[-1] == pytest.approx(0.001)
    arrivals = received_after(slow, 200_000)
    assert arrivals[-1] == pytest.approx(0.201)
    # One after the other: the last byte of each piece leaves when the link has had time for all.
    assert arrivals == pytest.approx([0.066536, 0.132072, 0.197608, 0.201])


def test_bandwidth_is_that_of_the_link_and_shared_by_its_connections():
    faults = Faults(latency_seconds=0.0, jitter_seconds=0.0, bandwidth_bytes_per_second=1_000_000)
    loop = SimLoop(seed=1, faults=faults)
    serve(loop, echo)
    ends = [connect(loop) for _ in range(2)]
    began = loop.now

    async def talk():
        for _, writer in ends:
            writer.write(b"x" * 50_000)
        return [await reader.readexactly(50_000) for reader, _ in ends]

    on(loop, "client", talk())
    # 50 ms for each there, and the answer of the first comes back while the second goes.
    assert loop.now - began == pytest.approx(0.15)
    loop.close()


def test_a_stall_holds_a_message_and_all_that_follow_it():
    calm = Faults(latency_seconds=0.001, jitter_seconds=0.0)
    stalling = Faults(
        latency_seconds=0.001,
        jitter_seconds=0.0,
        stall_probability=0.5,
        stall_seconds_max=2.0,
    )
    # A window, and twice a trip back and forth for room in it.
    assert max(received_after(calm, 600_000)) == pytest.approx(0.005)
    arrivals = received_after(stalling, 600_000)
    assert arrivals == sorted(arrivals)
    assert max(arrivals) > 0.1
    assert max(arrivals) < 2.0 * len(arrivals) + 0.1
    assert received_after(stalling, 600_000) == arrivals
    assert received_after(stalling, 600_000, seed=2) != arrivals


def test_a_port_nobody_listens_on_refuses(loop):
    with pytest.raises(ConnectionRefusedError):
        connect(loop)
    assert loop.now == pytest.approx(0.000_04)


def test_a_port_is_listened_on_once(loop):
    serve(loop, echo)
    with pytest.raises(OSError, match="address already in use") as failure:
        serve(loop, echo, host="other")
    assert failure.value.errno == errno.EADDRINUSE


def test_connecting_through_a_cut_gives_up_after_127_seconds(loop):
    serve(loop, echo)
    loop.network.cut("client", "server")
    with pytest.raises(TimeoutError):
        connect(loop)
    assert loop.now == pytest.approx(127.0)


def test_connecting_through_a_cut_that_heals_succeeds_at_the_next_syn(loop):
    serve(loop, echo)
    loop.network.cut("client", "server")
    loop.schedule(2.0, lambda _: loop.network.heal(), None)
    connect(loop)
    assert loop.now == pytest.approx(3.002)


def test_a_reader_that_stops_makes_the_writer_stop(loop):
    serve(loop, never_reads)
    _, writer = connect(loop)

    async def pour():
        writer.write(b"x" * 1_000_000)
        assert writer.transport.get_write_buffer_size() == 1_000_000 - 256 * 1024
        async with asyncio.timeout(60):
            await writer.drain()

    with pytest.raises(TimeoutError):
        on(loop, "client", pour())


def test_half_close_leaves_the_other_direction_open(loop):
    async def late(reader, writer):
        everything = await reader.read()
        writer.write(everything.upper())
        writer.close()

    serve(loop, late)
    reader, writer = connect(loop)

    async def talk():
        writer.write(b"abc")
        writer.write_eof()
        return await reader.read()

    assert on(loop, "client", talk()) == b"ABC"


def test_an_abort_is_a_reset_for_the_other_side(loop):
    async def hang_up(reader, writer):
        await reader.read(1)
        writer.transport.abort()

    serve(loop, hang_up)
    reader, writer = connect(loop)

    async def talk():
        writer.write(b"x")
        await reader.read()

    with pytest.raises(ConnectionResetError):
        on(loop, "client", talk())
    assert "rst" in [message.kind for message in loop.journal.messages]


def test_a_killed_process_closes_and_a_crashed_host_is_silent(loop):
    serve(loop, echo)
    reader, _ = connect(loop)
    loop.run_for(0.1)
    loop.network.kill("server")
    assert on(loop, "client", reader.read()) == b""
    serve(loop, echo)
    reader, _ = connect(loop)
    loop.run_for(0.1)
    loop.network.crash("server")
    with pytest.raises(DeadlockError):
        on(loop, "client", reader.read())


def test_bytes_for_a_host_that_came_back_are_answered_with_reset(loop):
    serve(loop, echo)
    reader, writer = connect(loop)
    loop.network.crash("server")
    loop.network.boot("server")

    async def talk():
        writer.write(b"x")
        await reader.read()

    with pytest.raises(ConnectionResetError):
        on(loop, "client", talk())


def test_a_cut_that_never_heals_breaks_the_connection_after_a_quarter_of_an_hour(loop):
    serve(loop, echo)
    reader, writer = connect(loop)
    loop.network.cut("client", "server")

    async def talk():
        writer.write(b"x")
        await reader.read()

    with pytest.raises(TimeoutError):
        on(loop, "client", talk())
    assert loop.now > 900


def test_a_cut_of_one_direction_lets_the_other_through(loop):
    serve(loop, echo)
    reader, writer = connect(loop)
    loop.network.cut("server", "client")

    async def talk():
        writer.write(b"x")
        async with asyncio.timeout(5):
            await reader.read(1)

    with pytest.raises(TimeoutError):
        on(loop, "client", talk())
    delivered = [m for m in loop.journal.messages if m.data == b"x" and m.delivered is not None]
    assert [m.target for m in delivered] == ["server"]
    loop.network.heal()
    assert on(loop, "client", reader.read(1)) == b"x"


def test_what_was_under_way_at_a_cut_still_arrives_before_what_was_written_later(loop):
    serve(loop, echo)
    reader, writer = connect(loop)

    async def talk():
        writer.write(b"one ")
        await asyncio.sleep(0.0005)
        loop.network.cut("client", "server")
        writer.write(b"two ")
        await asyncio.sleep(0.0002)
        writer.write(b"three")
        await asyncio.sleep(1)
        loop.network.heal()
        return await reader.readexactly(13)

    assert on(loop, "client", talk()) == b"one two three"


def test_a_paused_process_runs_nothing_and_goes_on_later(loop):
    serve(loop, echo)
    reader, writer = connect(loop)
    loop.network.pause("server")
    writer.write(b"x")
    loop.run_for(10)
    loop.network.resume("server")
    assert on(loop, "client", reader.read(1)) == b"x"
    assert 10 < loop.now < 10.1


def test_a_killed_process_runs_nothing_ever(loop):
    ran = []

    async def tick():
        while True:
            await asyncio.sleep(1)
            ran.append(loop.now)

    context = loop.network.process("server").context.copy()
    loop.create_task(tick(), context=context)
    loop.run_for(2.5)
    loop.network.kill("server")
    loop.run_for(10)
    assert ran == [1.0, 2.0]


def test_what_comes_over_a_connection_is_code_of_the_one_who_connected(loop):
    class Caller(asyncio.Protocol):
        def data_received(self, _data):
            ran.append(("data", CURRENT.get().host.name))
            loop.call_later(5, ran.append, "a timer of a killed process")

        def connection_lost(self, _error):
            ran.append(("lost", CURRENT.get().host.name))

    async def hello(_reader, writer):
        writer.write(b"hello")
        await asyncio.sleep(1)
        writer.close()

    ran = []
    serve(loop, hello)
    on(loop, "caller", loop.create_connection(Caller, "127.0.0.1", PORT))
    loop.run_for(2)
    loop.network.kill("caller")
    loop.run_for(10)
    assert ran == [("data", "caller"), ("lost", "caller")]


def test_a_fast_clock_goes_off_early(loop):
    loop.network.host("fast")
    loop.network.set_clock("fast", rate=2.0)
    on(loop, "fast", asyncio.sleep(10))
    assert loop.now == pytest.approx(5.0)


def test_a_deadlock_names_who_waits_where(loop):
    async def lost():
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError, match=r"(?s)'client': .*lost > Event\.wait at test_sim"):
        on(loop, "client", lost())


def test_an_hour_takes_no_time_and_a_busy_task_does_not_stop_the_clock(loop):
    async def poll():
        done = loop.create_task(asyncio.sleep(3600))
        while not done.done():  # noqa: ASYNC110 - the busy wait is what is tested
            await asyncio.sleep(0)
        return loop.time()

    assert on(loop, "client", poll()) == 3600


def test_the_journal_forgets_the_oldest_messages_only():
    from redislab.worlds.sim import Journal

    journal = Journal(lambda: loop.now, messages_max=20)
    loop = SimLoop(journal=journal)
    journal.event("server", "start")
    serve(loop, echo)
    reader, writer = connect(loop)

    async def talk():
        for _ in range(50):
            writer.write(b"x")
            await reader.read(1)

    on(loop, "client", talk())
    assert len(journal.messages) <= 20
    assert journal.messages_forgotten > 50
    assert journal.events[0].kind == "start"
    loop.close()
