"""Looks at a live installation from outside and says what is not as it should be on the first day."""

from context_client.doctor.findings import Finding, State, worst
from context_client.doctor.installation import Installation, Places

__all__ = ["Finding", "Installation", "Places", "State", "worst"]
