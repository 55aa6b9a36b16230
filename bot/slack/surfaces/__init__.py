"""Where people meet the bot outside of threads: Home, modals, commands, shortcuts."""
