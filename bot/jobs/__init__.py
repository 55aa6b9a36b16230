"""What people ask for outside of threads: charts, exports, to be forgotten."""
