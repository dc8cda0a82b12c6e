"""How a node ends that cannot go on."""

from __future__ import annotations


class ExitError(Exception):
    """The node ends, as a process would with `exit`. Its log says why.

    Attributes:
        code: the exit code: 0 where it was asked to.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code
