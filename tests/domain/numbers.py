"""Well-formed ID numbers and codes of organisations, made on demand: nobody's."""

from __future__ import annotations

from stdnum.cn import ric, uscc


def id_number(order: str = "101", *, born: str = "19900101", region: str = "440305") -> str:
    """An ID number (GB 11643) with its check digit."""
    bare = f"{region}{born}{order}"
    return bare + str(ric.calc_check_digit(bare + "0"))


def uscc_of(order: str = "101", *, serial: str = "MA5EX") -> str:
    """A code of an organisation (GB 32100): characters 15 to 17 are `order`."""
    bare = f"91440300{serial[:5]}0{order}"
    return bare + str(uscc.calc_check_digit(bare))
