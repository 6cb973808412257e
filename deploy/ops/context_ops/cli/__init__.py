"""The commands that context-ops adds to contextctl. Cheap to import: what they need comes when they run."""
