"""The errors that reach a user as one line, without a traceback."""


class DrumsepError(Exception):
    """What was given, what was wrong with it, and what is allowed, in one line."""


class UsageError(DrumsepError):
    """The request itself cannot be carried out, so nothing was done (exit code 2)."""
