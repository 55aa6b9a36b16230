"""The control API and the web page."""
