"""Everything that people read in Slack."""
