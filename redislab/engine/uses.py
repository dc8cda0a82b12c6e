"""When each key was last used, and how often: what eviction, OBJECT IDLETIME and FREQ go by.

Redis keeps 24 bits with every value: a clock for the LRU policies, or for the LFU policies a
counter that grows with the logarithm of the uses and shrinks with the minutes, with the minute it
was last looked at (`src/evict.c`, `updateLFU` in `src/db.c` of Redis 7.0). To remember that costs
time and memory at every command, so here it is begun when it is needed: with an LRU or LFU policy,
or with the first OBJECT IDLETIME. Of a key that is older all that is known is that it was not used
since any key was last used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redislab.engine.keyspace import Engine, Keyspace

NEW_KEY_FREQUENCY = 5  # LFU_INIT_VAL: a new key is not the first to go
FREQUENCY_MAX = 255
_MINUTE_MS = 60_000
_MINUTES = 2**16  # the minute of the last look is kept in 16 bits


class Uses:
    """The uses of the keys of one engine. What is known of a key stands in `Keyspace.accessed`.

    Attributes:
        counting: whether uses are counted (LFU): a number is then 256 times the minute of the last
            look, and the counter. Else it is the time of the last use, in milliseconds.
        log_factor: how much harder each step of the counter is than the one before.
        decay_minutes: after how many minutes a counter goes down by one; 0 for never.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.counting = False
        self.log_factor = 10
        self.decay_minutes = 1
        self._listening = False
        # When data was last used at all, while nothing is remembered of single keys.
        self._active_ms = self._looked_ms = engine.now_ms()
        self._seen = (0, 0, 0)
        self._older = 0  # what holds of a key that nothing is known of

    def look(self) -> None:
        """Note whether data was used since the last look; called now and then."""
        engine = self._engine
        seen = engine.dirty, engine.hits, engine.misses
        if seen != self._seen:
            self._seen = seen
            self._active_ms = self._looked_ms
        self._looked_ms = engine.now_ms()

    def start(self, *, counting: bool) -> None:
        """Remember uses from now on: count them, or keep the time of the last one."""
        if self._listening and counting == self.counting:
            return
        self.counting = counting
        self._older = self._new(self._active_ms)
        for database in self._engine.databases:
            database.accessed = {}
        if not self._listening:
            self._listening = True
            self._engine.observers.append(self._on_change)

    def stop(self) -> None:
        """Remember nothing any more."""
        if self._listening:
            self._listening = self.counting = False
            self._engine.observers.remove(self._on_change)
            for database in self._engine.databases:
                database.accessed = None

    def used(self, before: int | None) -> int:
        """What to keep of a key that is used now.

        Args:
            before: what was kept of it.
        """
        engine = self._engine
        now_ms = engine.now_ms()
        if not self.counting:
            return now_ms
        counter = self._decayed(self._older if before is None else before)
        if counter < FREQUENCY_MAX:
            steps = max(counter - NEW_KEY_FREQUENCY, 0)
            if engine.random.random() < 1 / (steps * self.log_factor + 1):
                counter += 1
        return _minute(now_ms) << 8 | counter

    def idle_ms(self, database: Keyspace, key: bytes) -> int:
        """For how long a key was not used, in milliseconds; it need not be counting."""
        self.start(counting=False)
        known = database.accessed or {}
        return self._engine.now_ms() - known.get(key, self._older)

    def frequency(self, database: Keyspace, key: bytes) -> int:
        """The counter of a key, from 0 to 255."""
        self.start(counting=True)
        known = database.accessed or {}
        return self._decayed(known.get(key, self._older))

    def restore(
        self, database: Keyspace, key: bytes, idle_s: int | None, frequency: int | None
    ) -> None:
        """What RESTORE or a file says of a key's uses (`objectSetLRUOrLFU`): one, or the other."""
        counts = "lfu" in self._engine.maxmemory_policy
        if counts and frequency is not None:
            kept = _minute(self._engine.now_ms()) << 8 | frequency
        elif not counts and idle_s is not None:
            kept = self._engine.now_ms() - 1000 * idle_s
        else:
            return
        self.start(counting=counts)
        if database.accessed is not None:
            database.accessed[key] = kept

    def move(self, source: Keyspace, key: bytes, target: Keyspace, new_key: bytes) -> None:
        """A value has got another key; its uses stay with it."""
        if source.accessed is not None and target.accessed is not None:
            target.accessed[new_key] = source.accessed.get(key, self._older)

    def _on_change(self, database: Keyspace, event: bytes, key: bytes) -> None:
        known = database.accessed
        if known is not None and key not in known and key in database.values:
            known[key] = self._new(self._engine.now_ms())

    def _new(self, now_ms: int) -> int:
        return _minute(now_ms) << 8 | NEW_KEY_FREQUENCY if self.counting else now_ms

    def _decayed(self, kept: int) -> int:
        """The counter, less one for every `decay_minutes` since it was last looked at."""
        minute, counter = divmod(kept, 256)
        if not self.decay_minutes:
            return counter
        passed = (_minute(self._engine.now_ms()) - minute) % _MINUTES
        return max(counter - passed // self.decay_minutes, 0)


def _minute(now_ms: int) -> int:
    return now_ms // _MINUTE_MS % _MINUTES
