"""One Redis node: clients, dispatch, configuration, INFO."""

from redislab.server.node import Environment, Node

__all__ = ["Environment", "Node"]
