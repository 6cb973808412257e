"""The Compose installation, run for real; what needs no Docker is in test_files.py."""
