"""Settings of the agent: a YAML file over ``OTEL_*`` variables over defaults."""

from .changes import Change, compare_settings
from .debug import Debug
from .effective import EffectiveSetting, SettingsOrigin, changed_settings, effective_settings, without_credentials
from .explanation import SettingsError
from .model import Settings, parse_settings, schema, with_profile
from .sampling import RATIO_SAMPLERS
from .sources import Loaded, load_settings
from .types import duration_seconds

__all__ = [
    "RATIO_SAMPLERS",
    "Change",
    "Debug",
    "EffectiveSetting",
    "Loaded",
    "Settings",
    "SettingsError",
    "SettingsOrigin",
    "changed_settings",
    "compare_settings",
    "duration_seconds",
    "effective_settings",
    "load_settings",
    "parse_settings",
    "schema",
    "with_profile",
    "without_credentials",
]
