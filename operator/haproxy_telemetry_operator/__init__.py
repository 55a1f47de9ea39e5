"""The operator: it gets the agent, and what HAProxy has to be told, into the HAProxy pods of a Kubernetes cluster.

This package stands in a folder `operator` that must never have an ``__init__.py``: it would shadow the standard library's module.
"""
