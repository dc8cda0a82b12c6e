"""Redis Sentinel: who watches masters, agrees that one is down, and puts a replica in its place.

In reading order: `model.py` is what a Sentinel knows, as plain data; `timing.py` has every
constant of its timing. Decisions are plain functions over that: `down.py` (who is down),
`votes.py` (who leads), `choosing.py` (which replica is promoted); `failover.py` is the table of
the states of a failover. `addresses.py` and `instances.py` make what is watched, and let go of it.
What comes in changes the model in `info.py` (an INFO), `hello.py` (what Sentinels tell each other)
and `answers.py` (the rest); `links.py` are the connections, `reader.py` reads what comes on them,
`timer.py` is the periodic work, `events.py` the lines that are logged and published, `scripts.py`
the programs that are run at events. `watch.py` ties all of that together; `host.py` says what it
needs of its surroundings, and `crash.py` how it ends when it is told to fail.

`node.py` is a whole Sentinel: a node of `redislab.server` with other commands (`commands.py`,
`settings.py`), other reports (`report.py`) and another configuration file (`configfile.py`,
`configrewrite.py`); `programs.py` runs scripts, `main.py` is what the command line starts.

Follows `src/sentinel.c` of Redis 7.0 and its documentation
(https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/).
"""
