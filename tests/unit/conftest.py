"""One hypothesis profile for all unit tests: few examples and always the same, since they run all the time and a failure should be
that of the change before it; and no deadline, since machines are busy.

For a search that is different and long: ``HYPOTHESIS_PROFILE=thorough pytest tests/unit``.
"""

import os

from hypothesis import HealthCheck, settings

QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("unit", max_examples=50, derandomize=True, **QUIET)
settings.register_profile("thorough", max_examples=2000, **QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "unit"))
