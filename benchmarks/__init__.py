"""Measurements; run one as `python -m benchmarks.NAME`. Never part of the tests."""
