"""An answer that people watch while it is written: streamed, else posted and edited."""
