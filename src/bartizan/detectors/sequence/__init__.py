"""Detectors of sequences: what one principal asked, taken together."""
