"""Each key's server is the one that real nutcracker sends it to, also when servers are ejected."""

import asyncio
import subprocess

import pytest

from redislab.ring.placement import Placement
from redislab.ring.servers import Server
from tests.ring.nutcracker import Backends, Pool, answers, free_servers, nutcracker, running
from tests.ring.placements import KEY_COUNT, SETS, differences, keys

pytestmark = pytest.mark.nutcracker


@pytest.fixture(scope="module", autouse=True)
def _there():
    nutcracker()


@pytest.mark.parametrize("name", SETS)
def test_keys_are_where_nutcracker_puts_them(name, tmp_path):
    count, found = differences(name, tmp_path)
    assert count == 12 * 2 * KEY_COUNT
    assert found == []


@pytest.mark.parametrize("distribution", ["ketama", "modula"])
def test_keys_of_an_ejected_server_go_where_nutcracker_sends_them(distribution):
    servers = free_servers(6, weights=(3, 1, 2))
    placement = Placement(servers, distribution=distribution)
    gone = placement.servers[2]
    asked = keys("ejection")
    lost = next(key for key in asked if placement.owner(key) == gone)
    pool = Pool(
        servers,
        "fnv1a_64",
        distribution,
        more="auto_eject_hosts: true\nserver_failure_limit: 1\nserver_retry_timeout: 600000",
    )

    async def eject():
        backends = Backends()
        await backends.listen(servers)
        try:
            async with running([pool]) as (socket,):
                backends.stop(gone)
                with pytest.raises((asyncio.IncompleteReadError, AssertionError)):
                    await answers(socket, [lost])
                return await answers(socket, asked)
        finally:
            backends.close()

    told = asyncio.run(eject())
    placement.rebuild([index for index, server in enumerate(placement.servers) if server != gone])
    assert [placement.owner(key) for key in asked] == [servers[number] for number in told]


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:7601:1",
        "127.0.0.1:7601:1 name",
        "127.0.0.1:07601:1",
        "::1:7601:2",
        "/tmp/redis.sock:1",
        "/tmp/redis.sock:1 name",
        "127.0.0.1:7601",
        "127.0.0.1",
        "127.0.0.1:7601:1 two names",
        "127.0.0.1:7601:-1",
        "127.0.0.1:7601:0",
        "127.0.0.1:7601:x",
        "127.0.0.1:7601:",
        "127.0.0.1:0:1",
        "127.0.0.1:65536:1",
        "127.0.0.1:x:1",
        "127.0.0.1::1",
        "/tmp/redis.sock",
        "/tmp/redis.sock:0",
    ],
)
def test_a_server_is_read_or_refused_as_nutcracker_does(text, tmp_path):
    file = tmp_path / "nutcracker.yml"
    file.write_text(f'p:\n  listen: 127.0.0.1:22121\n  redis: true\n  servers:\n  - "{text}"\n')
    program = [nutcracker(), "-c", str(file)]
    tried = subprocess.run([*program, "-t"], capture_output=True, timeout=20, check=False)
    try:
        Server.parse(text)
        refusal = None
    except ValueError as error:
        refusal = str(error)
    assert (refusal is None) == (tried.returncode == 0)
    if refusal is not None:
        # It does not start, and says in its log why.
        log = tmp_path / "log"
        subprocess.run([*program, "-o", str(log)], capture_output=True, timeout=20, check=False)
        assert f'conf: directive "servers" {refusal}\n' in log.read_text()
