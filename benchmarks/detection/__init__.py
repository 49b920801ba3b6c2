"""Detection and false-alarm figures."""
