"""Persistence: what a node's data become on its disk, and how it comes to them again.

Follows `src/rdb.c` and `src/aof.c` of Redis 7.0. In reading order: `persistence.py` is the whole of
it as a node sees it. `saving.py` writes RDB files. Of the append-only file, `manifest.py` is what
files there are and `records.py` what stands in them, plain state both; `appendfile.py` writes,
`rewriting.py` makes one base of many files, `rebuild.py` has the commands that make a value again.
`background.py` writes an image of the data a little at a time, `exclusive.py` does what a node
stands still for. `loading.py` and `replay.py` read everything back, `report.py` is what INFO tells,
and `commands.py` are the commands.
"""

from redislab.server.persistence.persistence import Persistence

__all__ = ["Persistence"]
