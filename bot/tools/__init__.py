"""Tools: functions of MCP servers and of our own that the model may call."""
