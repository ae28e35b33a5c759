"""Starts the real sandbox process for tests."""
