"""One turn: messages in, answer out."""
