"""All network I/O: the data plane, the admin plane, and where they are put together."""
