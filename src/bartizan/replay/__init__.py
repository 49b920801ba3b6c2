"""What another policy, level or set of detectors would have decided about recorded traffic."""
