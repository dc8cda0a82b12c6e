"""Python's collector of cycles in a program that is a server and nothing else.

The collector looks through every container there is whenever their number has grown by a quarter:
with some hundred thousand lists and hashes that stops the node for a second. So a server looks
after it by itself. Once a second it collects what is new, and takes what has survived out of the
collector's sight. Data come and go by reference counts alone, which is unaffected; what could be
missed is a cycle that lived for longer than a second, and node code makes none.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

# The two young generations: what was made since the last time.
_YOUNG = 1


def take_over(hz: int) -> Callable[[], None]:
    """Stop the automatic collection.

    Args:
        hz: how often a second what is returned will be called.

    Returns:
        What the cron of the node has to call.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    runs = 0

    def run() -> None:
        nonlocal runs
        runs += 1
        if runs % max(hz, 1) == 0:
            gc.collect(_YOUNG)
            gc.freeze()

    return run
