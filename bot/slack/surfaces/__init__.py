"""The user interface outside of threads: Home, modals, commands, shortcuts."""
