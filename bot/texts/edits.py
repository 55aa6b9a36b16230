"""The offer to a person who edits a question."""

OFFER = "You have edited your question. Should I answer it again?"
ANSWER_AGAIN = "Answer again"
TOO_LATE = "I no longer have that question. Please ask it again."
