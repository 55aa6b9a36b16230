"""The settings, one module for each area."""
