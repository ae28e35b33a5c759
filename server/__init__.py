"""Huimin (惠民): the mobile back end of a city."""

__version__ = "0.1.0"
