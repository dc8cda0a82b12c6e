"""The fuzzer: random sequences of calls, sent to real Redis and to ours, until the two differ.

```console
$ python -m tests.differential.fuzz --seed 1 --seconds 600
$ python -m tests.differential.fuzz --seed 4711 --count 1      # the sequence of one seed again
$ python -m tests.differential.fuzz --families streams,groups
```

A sequence that shows a difference is made smaller, call by call and word by word, as long as the
same kind of difference stays, and what is left is printed. `fuzz_generator.py` makes the sequences,
`fuzz_runner.py` runs one and compares.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tests.differential.fuzz_generator import DATA_FAMILIES, Atom, Plan, plan
from tests.differential.fuzz_runner import HANGS, Difference, Runner, shown
from tests.servers import our_server, real_server

OPTIONS = ("--proto-max-bulk-len", "1mb")  # a wrong offset shall not fill the memory
TRIES_MAX = 400


@dataclass(frozen=True)
class Finding:
    """A difference, and the smallest sequence that shows it."""

    plan: Plan
    kind: str
    text: str

    def __str__(self) -> str:
        protocols = " ".join(map(str, self.plan.protocols))
        lines = [f"seed {self.plan.seed}: {self.text}", f"  protocols of the clients: {protocols}"]
        lines += [f"  CONFIG SET {name} {value}" for name, value in self.plan.settings.items()]
        for atom in self.plan.atoms:
            for step in atom:
                wait = f"   (then {step.wait_ms} ms pass)" if step.wait_ms else ""
                lines.append(f"  {step.mark or ' '} {shown(step)}{wait}")
        return "\n".join(lines)


def search(runner: Runner, whole: Plan) -> Finding | None:
    """Run a sequence; the difference it shows, made small, or None."""
    difference = runner.run(whole)
    if difference is None:
        return None
    if difference[0] == HANGS:
        return Finding(whole, *difference)
    return shrink(runner, whole, difference)


def search_all(
    runner: Runner, plans: Iterable[Plan], seconds: float, findings_max: int = 5
) -> None:
    """Run one sequence after the other for some time, and print what they show."""
    ends = time.monotonic() + seconds
    found = ran = 0
    for whole in plans:
        if time.monotonic() > ends or found >= findings_max:
            break
        finding = search(runner, whole)
        ran += 1
        if finding is not None:
            found += 1
            print(finding, "\n", flush=True)  # noqa: T201 - a program that talks to a terminal
            if finding.kind == HANGS:
                break
    print(f"{ran} sequences, {runner.calls} calls, {found} differences")  # noqa: T201


def shrink(runner: Runner, whole: Plan, difference: Difference) -> Finding:
    """The smallest sequence found that shows the same kind of difference."""
    best = Finding(whole, *difference)
    tries = 0

    def still(candidate: Plan) -> bool:
        nonlocal best, tries
        tries += 1
        found = runner.run(candidate) if tries <= TRIES_MAX else None
        if found is None or found[0] != best.kind:
            return False
        best = Finding(candidate, *found)
        return True

    _fewer_atoms(lambda atoms: still(replace(whole, atoms=atoms)), whole.atoms)
    for name in list(whole.settings):
        settings = {key: value for key, value in best.plan.settings.items() if key != name}
        still(replace(best.plan, settings=settings))
    for place in range(len(best.plan.atoms)):
        _fewer_words(still, best, place)
    return best


def _fewer_atoms(still: Callable[[tuple[Atom, ...]], bool], atoms: tuple[Atom, ...]) -> None:
    """Leave out halves, quarters, eighths ... as long as that works."""
    size = max(len(atoms) // 2, 1)
    while size:
        at = 0
        while at < len(atoms):
            fewer = atoms[:at] + atoms[at + size :]
            if fewer and still(fewer):
                atoms = fewer
            else:
                at += size
        size //= 2


def _fewer_words(still: Callable[[Plan], bool], found: Finding, place: int) -> None:
    """Leave words out of a call that stands alone."""
    if len(found.plan.atoms[place]) > 1:
        return
    words = found.plan.atoms[place][0].words
    at = len(words) - 1
    while at > 0:
        fewer = words[:at] + words[at + 1 :]
        atoms = list(found.plan.atoms)
        atoms[place] = (replace(atoms[place][0], words=fewer),)
        if still(replace(found.plan, atoms=tuple(atoms))):
            words = fewer
            found = Finding(replace(found.plan, atoms=tuple(atoms)), found.kind, found.text)
        at -= 1


def main() -> None:
    """Search as the command line says."""
    parser = argparse.ArgumentParser(description="Search for differences to real Redis.")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=10**9, help="how many seeds")
    parser.add_argument("--seconds", type=float, default=60, help="how long")
    parser.add_argument("--families", default="", help="draw from these only, with commas")
    parser.add_argument("--without", default="", help="leave these families out")
    parser.add_argument("--findings", type=int, default=5, help="end after as many")
    options = parser.parse_args()
    families = tuple(filter(None, options.families.split(",")))
    for name in filter(None, options.without.split(",")):
        DATA_FAMILIES.remove(name)
    with real_server(*OPTIONS) as real, our_server(*OPTIONS) as ours:
        runner = Runner(real, ours)
        seeds = range(options.seed, options.seed + options.count)
        plans = (plan(seed, families) for seed in seeds)
        search_all(runner, plans, options.seconds, options.findings)
        runner.close()


if __name__ == "__main__":
    main()
