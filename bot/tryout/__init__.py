"""`bot try`: the whole bot in a local Slack on this machine, in the browser or the terminal."""
