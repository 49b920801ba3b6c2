"""Detectors of rows: inputs that a predictive model was not made for, or was led astray by."""
