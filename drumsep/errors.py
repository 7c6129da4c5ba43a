"""The one error that reaches a user as one line, without a traceback."""


class DrumsepError(Exception):
    """What was given, what was wrong with it, and what is allowed, in one line."""
