"""Tornado handlers: JSON in, JSON out; no rule and no query lives here."""
