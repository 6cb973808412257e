"""The command `contextctl`: readable for people, `--json` for programs."""
