"""Faithful local providers, shipped with the product: demo, tests and bench run against them."""
