"""An answer that is shown while it is written: streamed, or posted and edited."""
