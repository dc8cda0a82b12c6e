"""Redis Sentinel: who watches masters, agrees that one is down, and puts a replica in its place.

In reading order: `model.py` is what a Sentinel knows, as plain data; `timing.py` has every
constant of its timing. Decisions are plain functions over that: `down.py` (who is down),
`votes.py` (who leads), `choosing.py` (which replica is promoted); `failover.py` is the table of
the states of a failover. What comes in changes the model in `info.py` (an INFO), `hello.py` (what
Sentinels tell each other) and `answers.py` (the rest); `instances.py` is how masters, replicas and
Sentinels come and go, `addresses.py` how they are addressed. `watch.py` ties all of it together:
`links.py` are the connections, `reader.py` reads what comes on them, `timer.py` is the periodic
work, `events.py` the lines that are logged and published, `scripts.py` the programs that are run
at events.

`node.py` is a whole Sentinel, and what `host.py` asks for: a node of `redislab.server` with other
commands (`commands.py`, `settings.py`; what they tell is in `report.py`) and another configuration
file (`configfile.py` reads it, `configrewrite.py` writes it). `programs.py` starts scripts, and
`main.py` is `redislab sentinel`.

Follows `src/sentinel.c` of Redis 7.0 and its documentation
(https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/).
"""
