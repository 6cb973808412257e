"""The whole context engine on one machine: an embedded Postgres and the four services as a table of processes."""
