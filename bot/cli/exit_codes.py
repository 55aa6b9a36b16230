"""The exit codes of the command line."""

FAILED = 1
USAGE = 2
"""Wrong arguments, as click has it."""
CONFIG = 78
"""A setting is missing or wrong."""
UNAVAILABLE = 69
"""Redis or Slack cannot be reached at the start."""
