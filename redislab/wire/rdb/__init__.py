"""RDB, the format of Redis' snapshots: bytes in, values out, and back (`src/rdb.c` of Redis 7.0).

In reading order: `opcodes.py` has the numbers, `faults.py` what can be wrong with a file, `feed.py`
the bytes that come in. `strings.py` reads and writes lengths and strings, `packed.py` takes apart
the compact encodings, `objects.py` reads a value of any type and `streams.py` a stream; `reader.py`
reads a whole file, most of it with the loop in `quick.py`. `packing.py` puts the compact encodings
together, `writer.py` writes values and a file, `payload.py` what DUMP answers. `crc64.py` and
`lzf.py` are checksum and compression; `report.py` says what Redis says of a file.
"""
