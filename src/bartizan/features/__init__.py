"""Values computed once from content and shared by detectors. Pure functions, no I/O."""
