"""Settings of the whole test suite."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No test measures time: a busy machine must not make one fail.
settings.register_profile("mailfleet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mailfleet")
