"""What operators run beside the services: backups, restores and a look into the database."""
