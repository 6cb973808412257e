"""HTTP and JSON in front of the services: what agents, people and CI call."""

from importlib.metadata import version

VERSION = version("context-gateway")
