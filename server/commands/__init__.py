"""One file per group of the command line; `server/__main__.py` only hangs them up."""
