"""Placing keys on servers, as nutcracker (twemproxy) does."""
