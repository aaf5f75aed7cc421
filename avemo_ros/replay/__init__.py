"""Recordings through the live core, scored against their labels."""
