"""Bytes to interactions and back, one module per wire protocol. No I/O."""
