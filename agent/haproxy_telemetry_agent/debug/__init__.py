"""Looking inside a running agent: what it remembers of recent exchanges, pages and JSON about it, and following it live.

All but ``pages``, ``tails`` and ``tail`` is pure: what they show is worked out from plain values, when somebody looks.
"""

from .recent import Recent

__all__ = ["Recent"]
