"""Pure rules and models: no I/O, no clock, no randomness."""
