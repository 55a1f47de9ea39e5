"""State: what was seen of a namespace, what follows from it, and how it is told. Pure.

Nothing is exported here: each part has users of its own, and half of them would import the other half for nothing.
"""

__all__: list[str] = []
