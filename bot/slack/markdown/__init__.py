"""From the model's Markdown to messages for Slack: split, sanitized, with sources."""
