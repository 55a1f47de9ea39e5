"""Commands: a module for each, imported only when it is asked for.

A module has ``add_arguments(parser)`` and ``run(options)``, which returns the exit code. Init containers run ``rewrite`` in the
agent's image, where Kopf and Kubernetes' client are not installed, and should not wait for imports.
"""

__all__: list[str] = []
