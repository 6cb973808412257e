"""Checks of the container images."""
