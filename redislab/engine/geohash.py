"""Places on the earth as 52-bit integers, so that a sorted set of them can be searched.

A geohash interleaves the bits of a longitude and a latitude, each cut into 2**step parts. Places
that share a prefix lie in the same rectangle, so a search by radius or box looks at the rectangle
around its center and at the eight beside it. Follows `src/geohash.c` and `src/geohash_helper.c` of
Redis 7.0: the same formulas in the same order, for the last digit of a distance depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, cos, inf, isfinite, nan, pi, sin, sqrt

LONGITUDE_MAX = 180.0  # degrees
LATITUDE_MAX = 85.05112878  # degrees; Mercator maps end there
STEP_MAX = 26  # 52 bits: what a double holds exactly
EARTH_RADIUS_M = 6372797.560856

_ALPHABET = b"0123456789bcdefghjkmnpqrstuvwxyz"
_DEGREE = pi / 180.0
_MERCATOR_MAX_M = 20037726.37
# Bits are spread apart, and gathered again, by halves: (shift, mask of what is then in its place).
_SPREADING = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)
_GATHERING = (
    (0, 0x5555555555555555),
    (1, 0x3333333333333333),
    (2, 0x0F0F0F0F0F0F0F0F),
    (4, 0x00FF00FF00FF00FF),
    (8, 0x0000FFFF0000FFFF),
    (16, 0x00000000FFFFFFFF),
)
# The rectangles that a search looks at, in this order: (steps east, steps north).
_AROUND = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))


@dataclass(frozen=True, slots=True)
class Shape:
    """What a search covers: a circle, or a box along the axes, around a place.

    Attributes:
        longitude: of the center, in degrees.
        latitude: of the center, in degrees.
        width: of the box; twice the radius of a circle. In units.
        height: as width.
        radius: of the circle, in units; None for a box.
        unit_m: the length of a unit in meters.
    """

    longitude: float
    latitude: float
    width: float
    height: float
    radius: float | None
    unit_m: float

    def distance_to(self, longitude: float, latitude: float) -> float | None:
        """The distance of a place from the center in meters; None if it lies outside."""
        if self.radius is not None:
            away = distance(self.longitude, self.latitude, longitude, latitude)
            return None if away > self.radius * self.unit_m else away
        if _north_south(latitude, self.latitude) > self.height * self.unit_m / 2:
            return None
        beside = distance(longitude, latitude, self.longitude, latitude)
        if beside > self.width * self.unit_m / 2:
            return None
        return distance(self.longitude, self.latitude, longitude, latitude)


@dataclass(frozen=True, slots=True)
class Area:
    """The rectangle of a geohash, in degrees."""

    west: float
    east: float
    south: float
    north: float


def encode(
    longitude: float, latitude: float, step: int = STEP_MAX, latitude_max: float = LATITUDE_MAX
) -> int:
    """The geohash of a place: `step` bits of its longitude and as many of its latitude."""
    north = (latitude + latitude_max) / (latitude_max + latitude_max)
    east = (longitude + LONGITUDE_MAX) / (LONGITUDE_MAX + LONGITUDE_MAX)
    cells = float(1 << step)
    return _spread(int(north * cells)) | _spread(int(east * cells)) << 1


def decode(geohash: int, step: int = STEP_MAX) -> Area:
    """The rectangle that a geohash stands for."""
    north, east = _gather(geohash), _gather(geohash >> 1)
    cells = float(1 << step)
    height, width = LATITUDE_MAX + LATITUDE_MAX, LONGITUDE_MAX + LONGITUDE_MAX
    return Area(
        west=-LONGITUDE_MAX + (east / cells) * width,
        east=-LONGITUDE_MAX + ((east + 1) / cells) * width,
        south=-LATITUDE_MAX + (north / cells) * height,
        north=-LATITUDE_MAX + ((north + 1) / cells) * height,
    )


def place(score: float) -> tuple[float, float]:
    """Longitude and latitude that a score of a sorted set stands for: its rectangle's middle."""
    area = decode(_as_uint64(score))
    longitude = (area.west + area.east) / 2
    latitude = (area.south + area.north) / 2
    return (
        max(min(longitude, LONGITUDE_MAX), -LONGITUDE_MAX),
        max(min(latitude, LATITUDE_MAX), -LATITUDE_MAX),
    )


def text(score: float) -> bytes:
    """The standard geohash string of a score: eleven characters, the last of them always 0."""
    bits = encode(*place(score), latitude_max=90.0)
    shifts = range(47, -1, -5)
    return bytes([_ALPHABET[(bits >> shift) & 0x1F] for shift in shifts]) + b"0"


def distance(longitude1: float, latitude1: float, longitude2: float, latitude2: float) -> float:
    """Meters between two places on a sphere, by the haversine formula."""
    v = sin((longitude2 * _DEGREE - longitude1 * _DEGREE) / 2)
    if v == 0.0:
        return _north_south(latitude1, latitude2)
    radians1, radians2 = latitude1 * _DEGREE, latitude2 * _DEGREE
    u = sin((radians2 - radians1) / 2)
    a = u * u + cos(radians1) * cos(radians2) * v * v
    return 2.0 * EARTH_RADIUS_M * asin(min(1.0, sqrt(a)))


def score_ranges(shape: Shape) -> list[tuple[int, int]]:
    """The half-open ranges of scores that hold every place within a shape, and others beside."""
    west, east, south, north = _bounds(shape)
    step = _step_for(shape)
    if step > 1 and not _covers(shape, step, (west, east, south, north)):
        step -= 1
    center = encode(shape.longitude, shape.latitude, step)
    area = decode(center, step)
    ranges: list[tuple[int, int]] = []
    last: int | None = None
    for to_east, to_north in _AROUND:
        if step >= 2 and (
            (to_north < 0 and area.south < south)
            or (to_north > 0 and area.north > north)
            or (to_east < 0 and area.west < west)
            or (to_east > 0 and area.east > east)
        ):
            continue
        geohash = _neighbor(center, step, to_east, to_north)
        # Around the whole earth a neighbor can be the rectangle just looked at. The center itself
        # is not compared, which shows in answers for enormous radii.
        if last is not None and geohash == last:
            continue
        last = geohash if (to_east, to_north) != (0, 0) else None
        shift = 2 * (STEP_MAX - step)
        ranges.append((geohash << shift, (geohash + 1) << shift))
    return ranges


# -- the search area -----------------------------------------------------------------------------


def _step_for(shape: Shape) -> int:
    """How many bits make rectangles about as large as the shape."""
    if shape.radius is not None:
        meters = shape.radius
    else:
        half_width, half_height = shape.width / 2, shape.height / 2
        meters = sqrt(half_width * half_width + half_height * half_height)
    meters *= shape.unit_m
    if meters == 0:
        return STEP_MAX
    step = 1
    while meters < _MERCATOR_MAX_M:
        meters *= 2
        step += 1
    step -= 2
    if abs(shape.latitude) > 66:  # rectangles grow narrow towards the poles
        step -= 1
        if abs(shape.latitude) > 80:
            step -= 1
    return min(max(step, 1), STEP_MAX)


def _bounds(shape: Shape) -> tuple[float, float, float, float]:
    """West, east, south and north end of a shape, in degrees."""
    width, height = shape.width / 2, shape.height / 2
    if shape.radius is not None:
        width = height = shape.radius
    tall = shape.unit_m * height / EARTH_RADIUS_M / _DEGREE
    # The side farther from the equator, where a degree of longitude is shorter.
    farther = shape.latitude - tall if shape.latitude < 0 else shape.latitude + tall
    shrunk = cos(farther * _DEGREE) if isfinite(farther) else nan
    meters = shape.unit_m * width / EARTH_RADIUS_M
    wide = (meters / shrunk if shrunk else inf) / _DEGREE
    longitude, latitude = shape.longitude, shape.latitude
    return longitude - wide, longitude + wide, latitude - tall, latitude + tall


def _covers(shape: Shape, step: int, bounds: tuple[float, float, float, float]) -> bool:
    """Whether the rectangles on all four sides reach as far as the shape does."""
    west, east, south, north = bounds
    center = encode(shape.longitude, shape.latitude, step)
    return (
        decode(_neighbor(center, step, 0, 1), step).north >= north
        and decode(_neighbor(center, step, 0, -1), step).south <= south
        and decode(_neighbor(center, step, 1, 0), step).east >= east
        and decode(_neighbor(center, step, -1, 0), step).west <= west
    )


def _neighbor(geohash: int, step: int, to_east: int, to_north: int) -> int:
    """The geohash of a rectangle beside this one; at the edge of the map it wraps around."""
    cells = (1 << step) - 1
    north, east = _gather(geohash), _gather(geohash >> 1)
    if to_north:
        north = (north + to_north) & cells
    if to_east:
        east = (east + to_east) & cells
    return _spread(north) | _spread(east) << 1


# -- bits and angles -----------------------------------------------------------------------------


def _north_south(latitude1: float, latitude2: float) -> float:
    """Meters between two latitudes on one meridian."""
    return EARTH_RADIUS_M * abs(latitude2 * _DEGREE - latitude1 * _DEGREE)


def _spread(bits: int) -> int:
    """Put 32 bits on the even places of 64."""
    for shift, mask in _SPREADING:
        bits = (bits | bits << shift) & mask
    return bits


def _gather(bits: int) -> int:
    """Take the 32 bits on the even places of 64."""
    for shift, mask in _GATHERING:
        bits = (bits | bits >> shift) & mask
    return bits


def _as_uint64(score: float) -> int:
    """A score cast to an unsigned 64-bit integer, as x86-64 does it for those out of range too."""
    if score >= 2.0**64:
        return 0
    if score < -(2.0**63):
        return 1 << 63
    return int(score) & 0xFFFFFFFFFFFFFFFF
