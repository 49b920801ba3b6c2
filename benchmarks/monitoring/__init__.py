"""Monitoring beside its peers: false alarms, delays, searches, triage, recalibration, swapped models."""
