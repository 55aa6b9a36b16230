"""Benchmarks; run one with `python -m benchmarks.NAME`. Not part of the tests."""
