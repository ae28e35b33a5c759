"""Huimin (惠民): the mobile back end of a city."""
