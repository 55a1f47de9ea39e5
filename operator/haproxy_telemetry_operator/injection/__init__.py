"""Injection: a pod in, the same pod with the agent beside HAProxy out. Pure."""

from .facts import Facts
from .mutation import Mutation, mutate

__all__ = ["Facts", "Mutation", "mutate"]
