"""Every limit of the codec, with its precedent. What a peer sends can make us hold no more than these allow."""

MAX_FRAME_SIZE_BYTES = 65_536
"""Largest frame we accept and announce. HAProxy's own is ``tune.bufsize - 4``: 16 380 by default, seen on 2.6 to 3.5."""

MIN_FRAME_SIZE_BYTES = 256
"""Smallest ``max-frame-size`` a peer may announce (doc/SPOE.txt 3.2.3: HAProxy refuses less as well)."""

MAX_VARINT_BYTES = 10
"""A 64-bit number takes at most ten bytes."""

MAX_MESSAGES_PER_FRAME = 64
"""HAProxy puts the messages of one event in one frame; the longest spoe.cfg known (spoa-opentracing) has two."""

MAX_HELLO_ENTRIES = 32
"""Keys of a HELLO. HAProxy sends four or five."""
