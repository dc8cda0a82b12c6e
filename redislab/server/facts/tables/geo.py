"""Facts of the commands for geospatial indexes.

The notation is told in `redislab/server/facts/loader.py`; the facts are those of Redis 7.0.
"""

from __future__ import annotations

TABLES = (
    (
        "geo",
        """
geoadd -5 write denyoom @geo 1:RW,update
  Add places, or move them, by longitude and latitude.
  since 3.2.0, O(log(N)) per member, N = members of the sorted set
  args key#0 [condition@6.2.0<NX | XX>] [CH/change@6.2.0]
    longitude_latitude_member{longitude:double latitude:double member}...
  6.2.0 `CH`, `NX` and `XX`.

geodist -4 readonly @geo 1:RO,access
  Return how far apart two places are.
  since 3.2.0, O(log(N))
  args key#0 member1 member2 [unit<M | KM | FT | MI>]

geohash -2 readonly @geo 1:RO,access
  Return places as geohash strings.
  since 3.2.0, O(log(N)) per member asked about, N = members
  args key#0 member...

geopos -2 readonly @geo 1:RO,access
  Return the longitude and latitude of places.
  since 3.2.0, O(N), N = members asked about
  args key#0 member...

georadius -6 write denyoom movablekeys @geo 1:RO,access STORE@6:OW,update STOREDIST@6:OW,update
  Find the places around a position, and store them if asked.
  since 3.2.0, O(N+log(M)), N = places in the circle's bounding box, M = places in the index
  args key#0 longitude:double latitude:double radius:double unit<M | KM | FT | MI> [WITHCOORD]
    [WITHDIST] [WITHHASH] [count{COUNT=count:int [ANY@6.2.0]}] [order<ASC | DESC>] [STORE=key#1]
    [STOREDIST=key#2]
  gone 6.2.0 `GEOSEARCH` or `GEOSEARCHSTORE`, `BYRADIUS`
  6.2.0 `ANY` for `COUNT`.
  7.0.0 Units in upper case.

georadius_ro -6 readonly @geo 1:RO,access
  Find the places around a position.
  since 3.2.10, O(N+log(M)), N = places in the circle's bounding box, M = places in the index
  args key#0 longitude:double latitude:double radius:double unit<M | KM | FT | MI> [WITHCOORD]
    [WITHDIST] [WITHHASH] [count{COUNT=count:int [ANY@6.2.0]}] [order<ASC | DESC>]
  gone 6.2.0 `GEOSEARCH`, `BYRADIUS`
  6.2.0 `ANY` for `COUNT`.

georadiusbymember -5 write denyoom movablekeys @geo 1:RO,access STORE@5:OW,update
    STOREDIST@5:OW,update
  Find the places around another one, and store them if asked.
  since 3.2.0, O(N+log(M)), N = places in the circle's bounding box, M = places in the index
  args key#0 member radius:double unit<M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH]
    [count{COUNT=count:int [ANY]}] [order<ASC | DESC>] [STORE=key#1] [STOREDIST=key#2]
  gone 6.2.0 `GEOSEARCH` or `GEOSEARCHSTORE`, `BYRADIUS` and `FROMMEMBER`
  7.0.0 Units in upper case.

georadiusbymember_ro -5 readonly @geo 1:RO,access
  Find the places around another one.
  since 3.2.10, O(N+log(M)), N = places in the circle's bounding box, M = places in the index
  args key#0 member radius:double unit<M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH]
    [count{COUNT=count:int [ANY]}] [order<ASC | DESC>]
  gone 6.2.0 `GEOSEARCH`, `BYRADIUS` and `FROMMEMBER`

geosearch -7 readonly @geo 1:RO,access
  Find the places inside a circle or a box.
  since 6.2.0, O(N+log(M)), N = places in the grid cells around the shape, M = places in the shape
  args key#0 from<FROMMEMBER=member | FROMLONLAT=longitude_latitude{longitude:double
    latitude:double}> by<circle{BYRADIUS=radius:double unit<M | KM | FT | MI>} |
    box{BYBOX=width:double height:double unit<M | KM | FT | MI>}> [order<ASC | DESC>]
    [count{COUNT=count:int [ANY]}] [WITHCOORD] [WITHDIST] [WITHHASH]
  7.0.0 Units in upper case.

geosearchstore -8 write denyoom @geo 1:OW,update 2:RO,access
  Store the places inside a circle or a box.
  since 6.2.0, O(N+log(M)), N = places in the grid cells around the shape, M = places in the shape
  args destination#0 source#1 from<FROMMEMBER=member |
    FROMLONLAT=longitude_latitude{longitude:double latitude:double}>
    by<circle{BYRADIUS=radius:double unit<M | KM | FT | MI>} | box{BYBOX=width:double
    height:double unit<M | KM | FT | MI>}> [order<ASC | DESC>] [count{COUNT=count:int [ANY]}]
    [STOREDIST]
  7.0.0 Units in upper case.
""",
    ),
)
