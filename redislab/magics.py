"""`%redis` and `%%redis`: what one would type into redis-cli, in a notebook.

    %load_ext redislab
    %redis SET greeting hello

    %%redis redis-6379
    SET visits 41
    INCR visits

The line form runs one command and prints what redis-cli prints. The cell form runs a command a
line, on the node that its first line names, over one connection, and shows each command behind the
prompt. Both speak to the lab of the notebook: the variable `lab` if it holds an open one, else the
one opened last.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class

from redislab.labs.talk import Talk

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from redislab.labs.base import Lab

USAGE = "%redis COMMAND [ARGUMENT ...], or %%redis [NODE] with a command on every line"


@magics_class
class RedisMagics(Magics):
    """The magics of the extension."""

    @line_cell_magic
    def redis(self, line: str, cell: str | None = None) -> None:
        """Send commands to a node of the notebook's lab, and print what redis-cli prints.

        %redis COMMAND [ARGUMENT ...]     one command to the lab's first node
        %%redis [NODE]                    a command on every line of the cell; NODE is a name

        Quoting is that of redis-cli. Lines that are empty or begin with # are left out.
        """
        lab = find_lab(self.shell.user_ns if self.shell else {})
        if cell is None:
            if not line.strip():
                raise UsageError(USAGE)
            talk = Talk(lab.find())
            sys.stdout.write(f"{lab.run(talk.answer(line))}\n")
            lab.run(talk.close())
            return
        handle = lab.find(line.strip() or None)
        talk = Talk(handle)
        for command in cell.splitlines():
            if command.strip() and not command.lstrip().startswith("#"):
                prompt = f"{handle.host}:{handle.port}> {command.strip()}"
                sys.stdout.write(f"{prompt}\n{lab.run(talk.answer(command))}\n")
        lab.run(talk.close())


def find_lab(namespace: dict[str, object]) -> Lab:
    """The open lab of a notebook.

    Raises:
        UsageError: there is none.
    """
    from redislab.labs.base import Lab

    preferred = namespace.get("lab")
    if isinstance(preferred, Lab) and not preferred.closed:
        return preferred
    for value in reversed(list(namespace.values())):
        if isinstance(value, Lab) and not value.closed:
            return value
    raise UsageError("there is no open lab here; begin with: lab = SingleLab()")


def complete_command(shell: InteractiveShell, event: object) -> list[str]:
    """The commands that complete the word after `%redis`."""
    from redislab.server.facts import COMMANDS

    symbol = str(getattr(event, "symbol", ""))
    names = [name.decode().upper() for name in COMMANDS if b"|" not in name]
    matching = [name for name in names if name.startswith(symbol.upper())]
    return matching if symbol.isupper() or not symbol else [name.lower() for name in matching]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """What `%load_ext redislab` calls."""
    shell.register_magics(RedisMagics)
    shell.set_hook(  # type: ignore[no-untyped-call]
        "complete_command", complete_command, re_key=r"%{1,2}redis"
    )
