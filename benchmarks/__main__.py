"""`python -m benchmarks`: measure, print the table, say what is reached and what is not."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.persistence import persistence_rows
from benchmarks.proxy import proxy_rows
from benchmarks.rdb import rdb_rows
from benchmarks.replication import replication_rows
from benchmarks.ring import ring_rows
from benchmarks.rows import ROWS as SERVER_ROWS
from benchmarks.rows import Plan, Row
from benchmarks.sentinel import sentinel_rows
from benchmarks.servers import MissingError

ROWS = {
    **SERVER_ROWS,
    "rdb": rdb_rows,
    "persistence": persistence_rows,
    "replication": replication_rows,
    "sentinel": sentinel_rows,
    "ring": ring_rows,
    "proxy": proxy_rows,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", metavar="ROWS", help=f"of {', '.join(ROWS)}; else all")
    parser.add_argument("--quick", action="store_true", help="fewer tests, requests and rounds")
    parser.add_argument("--rounds", type=int, help="measurements a figure (default 5)")
    parser.add_argument("--requests", type=int, help="requests a measurement (default 100000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    options = parser.parse_args()
    for name in options.what:
        if name not in ROWS:
            parser.error(f"no rows are called {name!r}; there are {', '.join(ROWS)}")
    plan = Plan(
        rounds=options.rounds or (3 if options.quick else 5),
        requests=options.requests or (20_000 if options.quick else 100_000),
        quick=options.quick,
    )
    print(
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"{os.cpu_count()} cores, medians of {plan.rounds}, in turn"
    )
    print(f"{'what':<44} {'measured':>12} {'bound':>12}  reached")
    rows = []
    for name in options.what or ROWS:
        try:
            for row in ROWS[name](plan):
                rows.append(row)
                show(row)
        except (MissingError, subprocess.SubprocessError, OSError) as error:
            print(f"{name:<44} not measured: {error}", file=sys.stderr)
    if options.json:
        data = [asdict(row) | {"reached": row.reached} for row in rows]
        options.json.write_text(json.dumps(data, indent=1) + "\n")
    missed = [row for row in rows if not row.reached]
    print(f"\n{len(rows) - len(missed)} of {len(rows)} reached")
    return 0


def show(row: Row) -> None:
    assert row.measured is not None
    sign = ">=" if row.sense == "at least" else "<="
    places = 0 if row.measured >= 1000 else 2
    measured = f"{row.measured:.{places}f} {row.unit}"
    bound = f"{sign} {row.bound:g}"
    reached = "yes" if row.reached else "NO"
    print(f"{row.what:<44} {measured:>12} {bound:>12}  {reached:<4} {row.detail}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
