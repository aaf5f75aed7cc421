"""Recordings through the live engine, scored against their labels."""
