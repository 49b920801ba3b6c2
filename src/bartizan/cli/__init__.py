"""The command line: one file per verb, imported on demand."""
