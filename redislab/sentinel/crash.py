"""The end that SENTINEL SIMULATE-FAILURE asks for, in the middle of a failover."""

from __future__ import annotations


class CrashError(Exception):
    """The Sentinel has ended: nothing that was to come is done any more."""
