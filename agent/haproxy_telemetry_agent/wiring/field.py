"""A field: one fact about an exchange, and the ways in which HAProxy tells it."""

from dataclasses import dataclass

from .names import variable_name

__all__ = ["Field", "Version"]

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Field:
    """One row; see the module's text."""

    name: str
    meaning: str
    argument: str | None = None
    """Sample expression at ``on-frontend-http-request``; None: not sent."""
    record: str | None = None
    """Log-format expression; None: not in the record."""
    fallback: str | None = None
    """Sample expression that HAProxy puts into this row's variable when the agent gave no answer."""
    condition: str = ""
    """Condition of ``fallback``."""
    since: Version | None = None
    """The first HAProxy version whose ``argument`` and ``fallback`` exist."""
    before: Version | None = None
    """The first version that does not need this row any more."""
    variable: str | None = None
    """The variable of the row, if it is not ``variable_name(name)``."""

    @property
    def variable_name(self) -> str:
        """The HAProxy variable that the row has where it has one."""
        return self.variable or variable_name(self.name)
