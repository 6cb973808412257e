"""Fixtures, one file per subject."""
