"""Measurements against peers; each prints a table for people and, with ``--json``, one for machines."""
