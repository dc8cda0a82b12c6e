"""Fault schedules: a lab is harmed at random, with clients at work, and checked at every step.

In reading order: `schedule.py` is what is done to a lab and when, as plain data; `draw.py` draws
one from a seed. `run.py` carries a schedule out in any world, with clients that write and read
(`clients.py` of this package), lets the lab recover and makes a report. What is watched meanwhile
is in `sights.py`, and what must hold in `checks.py`. `shrink.py` makes a schedule that fails
shorter; `command.py` is `redislab chaos`.

The same seed is the same schedule everywhere, and in `sim` the same history, byte for byte. The
ideas are those of Jepsen's Maelstrom (histories with a verdict, the lost write named) and of the
simulators of FoundationDB (swizzle-clogging) and TigerBeetle (checkers at every step).
"""
