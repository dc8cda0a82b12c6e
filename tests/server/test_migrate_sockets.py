"""How long MIGRATE keeps its connections, in virtual time; what it says is in `differential`."""

from __future__ import annotations

from redislab import ReplicationLab


def test_a_connection_is_kept_for_ten_seconds():
    with ReplicationLab("sim", replicas=1, seed=7) as lab:
        source, target = lab.nodes
        lab.promote(target)
        at = lab.client(source)
        host, port = lab.nodes[target].host, lab.nodes[target].port

        def migrate() -> int:
            """Move a key; how many clients of the target have been sent one."""
            at.set("k", "v")
            at.execute_command("MIGRATE", host, port, "k", 0, 1000, "REPLACE")
            assert at.get("k") is None
            return moving()

        def moving() -> int:
            return lab.cli("CLIENT LIST", target).count("cmd=restore")

        assert moving() == 0
        assert [migrate(), migrate()] == [1, 1]
        lab.run_for(9)
        assert migrate() == 1  # used again: ten seconds more
        lab.run_for(9)
        assert moving() == 1
        lab.run_for(4)
        assert moving() == 0
        assert migrate() == 1
        lab.kill(source)
        lab.run_for(1)
        assert moving() == 0
