"""The demo: two traced HAProxies in front of a traced server, and what their traces look like.

The program under demonstration is the agent, started beside each HAProxy as its users start it. Everything around it is made
here or by the tools of the tests, listens on the loopback address, and is gone at the end.
"""
