"""State: what was seen of a namespace, what follows from it, and how it is told. Pure."""

__all__: list[str] = []
