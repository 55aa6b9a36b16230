"""Background work on old conversations and their records."""
