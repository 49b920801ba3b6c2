"""Score to p-value, against a named and versioned table."""
