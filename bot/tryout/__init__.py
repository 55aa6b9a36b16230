"""`bot try`: the whole bot in a local Slack on this machine, in the terminal or on a page."""
