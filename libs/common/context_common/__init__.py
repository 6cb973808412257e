"""What every service shares and none owns: errors, settings, logs, metrics, server, client door, pool."""
