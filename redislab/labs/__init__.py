"""Topologies as objects: a lab starts nodes in a world and lets a reader watch and harm them."""

from redislab.labs.replication import ReplicationLab
from redislab.labs.ring import RingLab
from redislab.labs.sentinel import SentinelLab
from redislab.labs.single import SingleLab

__all__ = ["ReplicationLab", "RingLab", "SentinelLab", "SingleLab"]
