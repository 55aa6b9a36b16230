"""Jobs that people start outside of threads: charts, exports, erasure."""
