"""A load generator in the manner of redis-benchmark."""
