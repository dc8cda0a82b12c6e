"""Ours beside the real programs, measured in one run, in turn; `python -m benchmarks --help`."""
