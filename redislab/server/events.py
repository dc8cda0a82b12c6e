"""Keyspace events: who changed what, told over pub/sub (`src/notify.c` of Redis 7.0).

`notify-keyspace-events` says which: K for channels by key, E for channels by event, and a letter
for each class of event. The engine reports changes by the name of the event, from which the class
follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redislab.engine.keyspace import REPLACED, Keyspace

if TYPE_CHECKING:
    from redislab.server.node import Node

# A stands for these; m (misses) and n (new keys) must be asked for by name.
ALL_CLASSES = "g$lshzxetd"

_NAMES = {
    "g": "del rename_from rename_to move_from move_to copy_to restore expire persist",
    "$": "set setrange append incrby decrby incrbyfloat setbit getex",
    "l": "lpush rpush lpop rpop linsert lset lrem ltrim sortstore",
    "s": "sadd srem spop sinterstore sunionstore sdiffstore",
    "x": "expired",
    "e": "evicted",
    "m": "keymiss",
    "n": "new",
}
_CLASSES = {name.encode(): letter for letter, names in _NAMES.items() for name in names.split()}


def class_of(event: bytes) -> str:
    """The class of an event, by its name."""
    known = _CLASSES.get(event)
    if known is not None:
        return known
    for start, letter in ((b"x", "t"), (b"h", "h"), (b"z", "z"), (b"geo", "z"), (b"pf", "$")):
        if event.startswith(start):
            return letter
    return "g"


class Events:
    """The keyspace events of one node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.by_key = self.by_event = False
        self.classes: frozenset[str] = frozenset()
        self._listening = self._tells_new = False

    def configure(self, letters: str) -> None:
        """Follow `notify-keyspace-events`."""
        self.by_key, self.by_event = "K" in letters, "E" in letters
        classes = frozenset(letters.replace("A", ALL_CLASSES)) - {"K", "E"}
        self.classes = classes if self.by_key or self.by_event else frozenset()
        wanted = bool(self.classes)
        observers = self.node.engine.observers
        if wanted and not self._listening:
            observers.append(self.tell)
        elif self._listening and not wanted:
            observers.remove(self.tell)
        self._listening = wanted
        self.node.engine.on_event = self.tell if wanted else None
        tells_new = "n" in self.classes
        if tells_new != self._tells_new:
            self._tells_new = tells_new
            for database in self.node.engine.databases:
                database.tell_new(self._tell_new if tells_new else None)
        engine = self.node.engine
        engine.on_missed = self._tell_missed if "m" in self.classes else None

    def follow_databases(self) -> None:
        """The values of the databases were replaced: listen to the new ones."""
        if self._tells_new:
            for database in self.node.engine.databases:
                database.tell_new(self._tell_new)

    def tell(self, db: Keyspace, event: bytes, key: bytes) -> None:
        """Publish an event, if it is of a class that is wanted."""
        if not event or event == REPLACED or class_of(event) not in self.classes:
            return
        publish = self.node.pubsub.publish
        if self.by_key:
            publish(b"__keyspace@%d__:%b" % (db.index, key), event)
        if self.by_event:
            publish(b"__keyevent@%d__:%b" % (db.index, event), key)

    def _tell_new(self, db: Keyspace, key: bytes) -> None:
        self.tell(db, b"new", key)

    def _tell_missed(self, db: Keyspace, key: bytes) -> None:
        self.tell(db, b"keymiss", key)
