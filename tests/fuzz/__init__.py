"""Every address and every method, with what nobody should send; what came of it is in docs/reliability.md."""
