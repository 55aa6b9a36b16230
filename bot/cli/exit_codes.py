"""The exit codes of the command line."""

FAILED = 1
CONFIG = 78
"""A setting is missing or wrong."""
UNAVAILABLE = 69
"""Redis or Slack cannot be reached at the start."""
