"""Pages for people; they load nothing from anywhere else."""
