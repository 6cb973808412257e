"""The build step that makes the model's files; nothing of it runs in the service."""
