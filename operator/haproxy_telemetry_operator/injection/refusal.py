"""Why a pod is left alone."""

__all__ = ["CannotInject"]


class CannotInject(Exception):
    """A pod that is meant, and that we can't get into; the words are for whoever runs it."""
