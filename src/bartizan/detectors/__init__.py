"""Detectors: one file each. They score parts and never decide."""
