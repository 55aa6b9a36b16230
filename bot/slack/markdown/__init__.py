"""From the model's Markdown to what Slack is sent: cut, made harmless, with its sources."""
