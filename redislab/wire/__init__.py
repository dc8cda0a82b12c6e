"""Bytes in, values out: the formats of the wire, with no time, no sockets and no nodes in them."""
