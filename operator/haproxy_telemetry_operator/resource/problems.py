"""What is wrong with a spec: said once, to whoever wrote it, as the condition ``Accepted``."""

__all__ = ["SpecProblem"]


class SpecProblem(Exception):
    """A spec that the API server took and that can't be used: which field, and the fix.

    Attributes:
        reason: CamelCase, for ``status.conditions[].reason``.
    """

    def __init__(self, message: str, reason: str = "InvalidSpec") -> None:
        super().__init__(message)
        self.reason = reason
