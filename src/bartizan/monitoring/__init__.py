"""Streams of events to alarms: what changed, since when, who is concerned, and what it is taken for."""
