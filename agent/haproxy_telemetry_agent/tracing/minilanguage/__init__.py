"""The argument language of spoa-opentracing: messages that open, fill and finish spans, and the table of those that are open.

The one place of the agent that keeps open exchanges: what such an SPOE file sends has neither token nor record.
"""

from .clauses import WarningReason
from .language import MiniLanguage, MiniLimits

__all__ = ["MiniLanguage", "MiniLimits", "WarningReason"]
