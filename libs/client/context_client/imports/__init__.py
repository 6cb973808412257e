"""Brings what a team already has into the engine: decision records and git history."""
