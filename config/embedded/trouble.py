"""What stops a start: one sentence that a person can act on, never a traceback."""


class CannotStart(Exception):
    """A start that can't go on; its text is the sentence to print."""
