"""Detectors of text: what is hidden in it, asks for obedience in it, or leaks through it."""
