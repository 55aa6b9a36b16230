"""A self-hosted AI assistant for Slack: every thread is one conversation."""

__version__ = "0.1.0"
