"""The engine that gets a broadcast to millions."""
