"""Settings of the agent: a YAML file over ``OTEL_*`` variables over defaults."""

from .explanation import SettingsError
from .model import RATIO_SAMPLERS, Settings, duration_seconds, parse_settings, schema
from .sources import Loaded, load_settings

__all__ = [
    "RATIO_SAMPLERS",
    "Loaded",
    "Settings",
    "SettingsError",
    "duration_seconds",
    "load_settings",
    "parse_settings",
    "schema",
]
