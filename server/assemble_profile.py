"""The part of `assemble` for what people say about themselves: settings, places, opt-outs, grants."""

from __future__ import annotations

import secrets
from functools import partial

from server.assemble import Assembly
from server.services.holdings import Holding
from server.services.profile import City, Profile
from server.services.profile_holdings import GrantsHolding, PlacesHolding, PreferencesHolding
from server.storage.profiles import Profiles


def profile(assembly: Assembly) -> Profile:
    """People's own settings, places and opt-outs."""
    standing = tuple(assembly.subjects.standing.values())
    city = City(assembly.divisions, assembly.topics, assembly.templates, standing)
    store = Profiles(assembly.db, assembly.person_vault)
    return Profile(
        assembly.accounts, store, city, assembly.consents.has, now=assembly.now, new_id=partial(secrets.token_hex, 16)
    )


def profile_holdings(assembly: Assembly) -> list[Holding]:
    """What a profile holds about somebody."""
    store = Profiles(assembly.db, assembly.person_vault)
    return [PlacesHolding(store, partial(secrets.token_hex, 16)), PreferencesHolding(store), GrantsHolding(store)]
