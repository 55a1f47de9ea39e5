"""Settings of looking inside: the pages below ``/debug`` of ``listen.http``."""

from .types import Struct

__all__ = ["Debug"]


class Debug(Struct, frozen=True):
    """What a running agent shows of itself: recent exchanges, open things, settings. Secrets are not shown."""

    enabled: bool = True
    """Remember recent exchanges and show them; off, nothing is remembered."""
    remote: bool = False
    """Show them to other machines too, and to web pages by any name. Paths and addresses of clients are in there."""
