"""Places: GEOADD, GEOSEARCH, GEODIST and their kin, on sorted sets whose scores are geohashes.

The arithmetic stands in `geohash.py`. Follows `src/geo.c` of Redis 7.0; the search commands share
one reader of options there, `_Search` here, which is why GEORADIUS takes options that its
documentation does not name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from redislab.engine import geohash
from redislab.engine.arguments import parse_float, parse_int
from redislab.engine.errors import CommandError, shown, syntax_error
from redislab.engine.sorted_set_ranges import store
from redislab.engine.sorted_sets import add
from redislab.engine.table import Caller, Reply, command
from redislab.engine.values import SortedSetValue
from redislab.wire.resp import (
    EMPTY_ARRAY,
    NULL,
    NULL_ARRAY,
    array,
    bulk,
    bulks,
    integer,
    nullable_bulks,
)

_UNITS_M = {b"m": 1.0, b"km": 1000.0, b"ft": 0.3048, b"mi": 1609.34}
_NOT_DECODED = "ERR could not decode requested zset member"


class Found(NamedTuple):
    """A member that a search found."""

    distance_m: float  # from the center
    score: float
    member: bytes


@dataclass(slots=True)
class Area:
    """What a search covers, as its options tell it piece by piece."""

    center: tuple[float, float] | None = None  # longitude, latitude
    extent: tuple[float, float, float | None] | None = None  # width, height, radius
    unit_m: float = 1.0

    def shape(self) -> geohash.Shape:
        """The shape that the pieces make."""
        assert self.center is not None
        assert self.extent is not None
        longitude, latitude = self.center
        width, height, radius = self.extent
        return geohash.Shape(longitude, latitude, width, height, radius, self.unit_m)


@dataclass(slots=True)
class Options:
    """How a search answers."""

    with_distance: bool = False
    with_hash: bool = False
    with_place: bool = False
    any: bool = False
    order: bytes = b""  # asc, desc or as found
    count: int = 0  # 0 for no limit
    store_key: bytes | None = None
    store_distance: bool = False


# -- single places -------------------------------------------------------------------------------


@command("geoadd")
def geoadd(c: Caller, args: list[bytes]) -> Reply:
    """GEOADD key [NX|XX] [CH] longitude latitude member [...]; sent on as the ZADD it is."""
    at = 2
    while at < len(args) and args[at].lower() in {b"nx", b"xx", b"ch"}:
        at += 1
    options = frozenset(option.lower() for option in args[2:at])
    if (len(args) - at) % 3 or {b"nx", b"xx"} <= options:
        raise syntax_error()
    pairs = []
    scored = []
    for i in range(at, len(args), 3):
        bits = geohash.encode(*_parse_place(args[i], args[i + 1]))
        pairs.append((float(bits), args[i + 2]))
        scored += [b"%d" % bits, args[i + 2]]
    if not pairs:
        raise syntax_error()
    before = c.engine.dirty
    reply = add(c, args[1], pairs, options)
    if c.engine.dirty != before:
        c.rewrite(b"zadd", *args[1:at], *scored)
    return reply


@command("geopos")
def geopos(c: Caller, args: list[bytes]) -> Reply:
    """GEOPOS key member [member ...]: longitude and latitude of each."""
    scores = _scores(c, args)
    null = NULL_ARRAY[c.resp]
    return array([null if score is None else _place(score, c.resp) for score in scores])


@command("geohash")
def geohash_(c: Caller, args: list[bytes]) -> Reply:
    """GEOHASH key member [member ...]: the standard geohash string of each."""
    scores = _scores(c, args)
    texts = [None if score is None else geohash.text(score) for score in scores]
    return nullable_bulks(texts, c.resp)


@command("geodist")
def geodist(c: Caller, args: list[bytes]) -> Reply:
    """GEODIST key member1 member2 [M|KM|FT|MI]."""
    unit_m = _parse_unit(args[4]) if len(args) == 5 else 1.0
    if len(args) > 5:
        raise syntax_error()
    first, second = _scores(c, args[:4])
    if first is None or second is None:
        return NULL[c.resp]
    meters = geohash.distance(*geohash.place(first), *geohash.place(second))
    return bulk(_four_decimals(meters / unit_m))


def _scores(c: Caller, args: list[bytes]) -> list[float | None]:
    """The scores of the members that a request names; a missing key has no members."""
    members = c.db.typed_read(args[1], SortedSetValue) or SortedSetValue()
    return [members.scores.get(member) for member in args[2:]]


# -- searches ------------------------------------------------------------------------------------


@command("geosearch")
def geosearch(c: Caller, args: list[bytes]) -> Reply:
    """GEOSEARCH key FROMMEMBER|FROMLONLAT ... BYRADIUS|BYBOX ... [options]."""
    return _Search(c, args, 1, 2, stores=False).run(Area(), Options())


@command("geosearchstore")
def geosearchstore(c: Caller, args: list[bytes]) -> Reply:
    """GEOSEARCHSTORE destination source FROMMEMBER|FROMLONLAT ... [STOREDIST]."""
    return _Search(c, args, 2, 3, stores=True).run(Area(), Options(store_key=args[1]))


@command("georadius")
def georadius(c: Caller, args: list[bytes]) -> Reply:
    """GEORADIUS key longitude latitude radius unit [options] [STORE key|STOREDIST key]."""
    return _around_place(c, args, stores=True)


@command("georadius_ro")
def georadius_ro(c: Caller, args: list[bytes]) -> Reply:
    """GEORADIUS_RO key longitude latitude radius unit [options]."""
    return _around_place(c, args, stores=False)


@command("georadiusbymember")
def georadiusbymember(c: Caller, args: list[bytes]) -> Reply:
    """GEORADIUSBYMEMBER key member radius unit [options] [STORE key|STOREDIST key]."""
    return _around_member(c, args, stores=True)


@command("georadiusbymember_ro")
def georadiusbymember_ro(c: Caller, args: list[bytes]) -> Reply:
    """GEORADIUSBYMEMBER_RO key member radius unit [options]."""
    return _around_member(c, args, stores=False)


def _around_place(c: Caller, args: list[bytes], *, stores: bool) -> bytes:
    search = _Search(c, args, 1, 6, stores=stores, fixed=True)
    area = Area(center=_parse_place(args[2], args[3]))
    _parse_radius(area, args[4], args[5])
    return search.run(area, Options())


def _around_member(c: Caller, args: list[bytes], *, stores: bool) -> bytes:
    search = _Search(c, args, 1, 5, stores=stores, fixed=True)
    area = Area()
    if search.members is not None:  # a missing key leaves the radius unread, as in Redis
        area.center = _place_of(search.members, args[2])
        _parse_radius(area, args[3], args[4])
    return search.run(area, Options())


class _Search:
    """One request of the search family.

    Args:
        c: the caller.
        args: the request.
        key_at: where the key stands in it.
        options_at: where the options begin.
        stores: whether the command can store what it finds.
        fixed: whether center and radius stand in front of the options (GEORADIUS).

    Raises:
        CommandError: WRONGTYPE, before anything else is looked at.
    """

    def __init__(
        self,
        c: Caller,
        args: list[bytes],
        key_at: int,
        options_at: int,
        *,
        stores: bool,
        fixed: bool = False,
    ) -> None:
        self.c = c
        self.args = args
        self.at = options_at
        self.stores = stores
        self.fixed = fixed
        self.members = c.db.typed_read(args[key_at], SortedSetValue)
        # Which of the options that exclude each other came.
        self.from_member = self.from_place = self.by_radius = self.by_box = False

    def run(self, area: Area, options: Options) -> bytes:
        """Read the options, search, and reply or store."""
        while self.at < len(self.args):
            word = self.args[self.at].lower()
            left = len(self.args) - self.at - 1
            if not self._answer_option(word, left, options) and (
                self.fixed or not self._area_option(word, left, area)
            ):
                raise syntax_error()
            self.at += 1
        self._check(options)
        if self.members is None:
            found: list[Found] = []
        else:
            found = _find(self.members, area.shape(), options.count if options.any else 0)
        order = options.order or (b"asc" if options.count and not options.any else b"")
        if order:
            found.sort(key=lambda one: one.distance_m, reverse=order == b"desc")
        if options.count:
            del found[options.count :]
        if options.store_key is not None:
            return self._store(found, area, options)
        return _reply(found, area, options, self.c.resp) if found else EMPTY_ARRAY

    def _answer_option(self, word: bytes, left: int, options: Options) -> bool:
        """Read an option that says how to answer; tell whether it was one."""
        if word == b"withdist":
            options.with_distance = True
        elif word == b"withhash":
            options.with_hash = True
        elif word == b"withcoord":
            options.with_place = True
        elif word == b"any":
            options.any = True
        elif word in {b"asc", b"desc"}:
            options.order = word
        elif word == b"count" and left >= 1:
            options.count = parse_int(self.args[self.at + 1])
            if options.count <= 0:
                raise CommandError("ERR COUNT must be > 0")
            self.at += 1
        elif word in {b"store", b"storedist"} and self.fixed and self.stores and left >= 1:
            options.store_key = self.args[self.at + 1]
            options.store_distance = word == b"storedist"
            self.at += 1
        elif word == b"storedist" and self.stores and not self.fixed:
            options.store_distance = True
        else:
            return False
        return True

    def _area_option(self, word: bytes, left: int, area: Area) -> bool:
        """Read an option of GEOSEARCH that says where to look; tell whether it was one."""
        args, at = self.args, self.at
        if word == b"frommember" and left >= 1 and not self.from_place:
            if self.members is not None:
                area.center = _place_of(self.members, args[at + 1])
            self.from_member = True
            self.at += 1
        elif word == b"fromlonlat" and left >= 2 and not self.from_member:
            area.center = _parse_place(args[at + 1], args[at + 2])
            self.from_place = True
            self.at += 2
        elif word == b"byradius" and left >= 2 and not self.by_box:
            _parse_radius(area, args[at + 1], args[at + 2])
            self.by_radius = True
            self.at += 2
        elif word == b"bybox" and left >= 3 and not self.by_radius:
            _parse_box(area, args[at + 1], args[at + 2], args[at + 3])
            self.by_box = True
            self.at += 3
        else:
            return False
        return True

    def _check(self, options: Options) -> None:
        """Refuse what does not go together, or is missing."""
        details = options.with_distance or options.with_hash or options.with_place
        if options.store_key is not None and details:
            who = "STORE option in GEORADIUS" if self.fixed else "GEOSEARCHSTORE"
            raise CommandError(
                f"ERR {who} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )
        name = shown(self.args[0])
        if not (self.fixed or self.from_member or self.from_place):
            raise CommandError(
                f"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}"
            )
        if not (self.fixed or self.by_radius or self.by_box):
            raise CommandError(f"ERR exactly one of BYRADIUS and BYBOX can be specified for {name}")
        if options.any and not options.count:
            raise CommandError("ERR the ANY argument requires COUNT argument")

    def _store(self, found: list[Found], area: Area, options: Options) -> bytes:
        """Store what was found as a sorted set, by geohash or by distance."""
        assert options.store_key is not None
        pairs = [
            (one.distance_m / area.unit_m if options.store_distance else one.score, one.member)
            for one in found
        ]
        event = b"georadiusstore" if self.fixed else b"geosearchstore"
        return store(self.c, options.store_key, pairs, event, len(pairs))


def _find(members: SortedSetValue, shape: geohash.Shape, limit: int) -> list[Found]:
    """The members within a shape, rectangle by rectangle; at most `limit`, if that is not 0."""
    found: list[Found] = []
    for least, end in geohash.score_ranges(shape):
        start = members.order.bisect_left((float(least),))
        stop = members.order.bisect_left((float(end),))
        for score, member in members.order.islice(start, stop):
            if limit and len(found) >= limit:
                return found
            away = shape.distance_to(*geohash.place(score))
            if away is not None:
                found.append(Found(away, score, member))
    return found


def _reply(found: list[Found], area: Area, options: Options, resp: int) -> bytes:
    """The members found, each with the details that were asked for."""
    if not (options.with_distance or options.with_hash or options.with_place):
        return bulks([one.member for one in found])
    rows = []
    for one in found:
        row = [bulk(one.member)]
        if options.with_distance:
            row.append(bulk(_four_decimals(one.distance_m / area.unit_m)))
        if options.with_hash:
            row.append(integer(int(one.score)))
        if options.with_place:
            row.append(_place(one.score, resp))
        rows.append(array(row))
    return array(rows)


# -- arguments and answers -----------------------------------------------------------------------


def _parse_place(longitude: bytes, latitude: bytes) -> tuple[float, float]:
    """A longitude and a latitude within the bounds of the map."""
    east, north = parse_float(longitude), parse_float(latitude)
    if abs(east) > geohash.LONGITUDE_MAX or abs(north) > geohash.LATITUDE_MAX:
        raise CommandError(f"ERR invalid longitude,latitude pair {east:f},{north:f}")
    return east, north


def _place_of(members: SortedSetValue, member: bytes) -> tuple[float, float]:
    """Where a member is."""
    score = members.scores.get(member)
    if score is None:
        raise CommandError(_NOT_DECODED)
    return geohash.place(score)


def _parse_radius(area: Area, radius: bytes, unit: bytes) -> None:
    number = parse_float(radius, "ERR need numeric radius")
    if number < 0:
        raise CommandError("ERR radius cannot be negative")
    area.unit_m = _parse_unit(unit)
    area.extent = (2 * number, 2 * number, number)


def _parse_box(area: Area, width: bytes, height: bytes, unit: bytes) -> None:
    across = parse_float(width, "ERR need numeric width")
    along = parse_float(height, "ERR need numeric height")
    if across < 0 or along < 0:
        raise CommandError("ERR height or width cannot be negative")
    area.unit_m = _parse_unit(unit)
    area.extent = (across, along, None)


def _parse_unit(text: bytes) -> float:
    """The length of a unit in meters."""
    meters = _UNITS_M.get(text.lower())
    if meters is None:
        raise CommandError("ERR unsupported unit provided. please use M, KM, FT, MI")
    return meters


def _place(score: float, resp: int) -> bytes:
    """Longitude and latitude as a reply: doubles in RESP3, with up to 17 decimals in both."""
    texts = [_seventeen_decimals(degrees) for degrees in geohash.place(score)]
    if resp == 3:
        return array([b",%b\r\n" % text for text in texts])
    return bulks(texts)


def _seventeen_decimals(degrees: float) -> bytes:
    text = (b"%.17f" % degrees).rstrip(b"0").rstrip(b".")
    return b"0" if text == b"-0" else text


def _four_decimals(number: float) -> bytes:
    """A distance: four decimals, rounded half to even."""
    whole, decimals = divmod(round(number * 10000.0), 10000)
    return b"%d.%04d" % (whole, decimals)
