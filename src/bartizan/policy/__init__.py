"""Findings and faults to a verdict."""
