"""What is kept how long, in one table: `docs/privacy.md` shows it, a test holds it against the database's own expiry.

A collection that is not in the table cannot be added: whoever stores something says until when.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Kept:
    """One collection. `until`: a time after which the database deletes an entry, or in words what ends it."""

    what: str
    until: timedelta | str

    @property
    def told(self) -> str:
        """The end as people read it."""
        if isinstance(self.until, str):
            return self.until
        days = self.until / timedelta(days=1)
        return f"{days:g} days" if days >= 1 else f"{self.until / timedelta(hours=1):g} hours"


LEAVES = "until the person leaves"
EVIDENCE = "for good: evidence, names nobody"

KEPT: Mapping[str, Kept] = {
    "accounts": Kept("who logs in; name and ID number sealed with the person's key", LEAVES),
    "acknowledgements": Kept("who said they are safe or need help in an alert", timedelta(days=180)),
    "addresses": Kept("openid, push token, phone: sealed; grants and opt-outs", LEAVES),
    "alerts": Kept("warnings and who released them", EVIDENCE),
    "applications": Kept(
        "what somebody applied for; form, notes and code sealed with the person's key",
        "a draft 90 days after the last touch, with a reminder a week before; what was handed in as long as the law "
        "archives it, without anything personal when the person leaves",
    ),
    "attachments": Kept("files of an application, sealed with the person's key", "as long as the application"),
    "attempts": Kept("failed log-ins and look-ups, by blind index", timedelta(days=2)),
    "audit": Kept("what officers did, and pseudonyms of citizens", EVIDENCE),
    "audit_checkpoints": Kept("signatures over the log", EVIDENCE),
    "batches": Kept("notices that are being put on pages", "seconds, until the pages stand"),
    "broadcasts": Kept("what was sent, to what audience; no person", EVIDENCE),
    "bulletins": Kept("public notices with their history; no person", EVIDENCE),
    "calendars": Kept("that somebody has a calendar feed: its address as a hash", "until the person ends it or leaves"),
    "callbacks": Kept("digests of providers' callbacks", timedelta(days=3)),
    "catalogue": Kept("the newest version of the catalogue's parts; no person", "as long as the item"),
    "chains": Kept("visits of several seats: which they are, and whose", timedelta(days=2 * 365)),
    "citizens": Kept("places, and on which channels somebody can be reached", LEAVES),
    "closures": Kept("which seats an office closed, and why", "90 days after it was done"),
    "consents": Kept("what a person agreed to and took back", LEAVES),
    "counters": Kept("how many people live where", "rebuilt every hour"),
    "deliveries": Kept("what partners were told", timedelta(days=30)),
    "devices": Kept("apps that get push notices: the log-in they belong to", "until that log-in ends"),
    "erasures": Kept("that an erasure was done: a pseudonym and times", timedelta(days=3 * 365)),
    "events": Kept("the public log of releases", EVIDENCE),
    "fact_conflicts": Kept("facts on which sources differ", "until they agree, or the person leaves"),
    "fact_imports": Kept("which feed of facts was read how far, in figures; no person", timedelta(days=2 * 365)),
    "fact_objections": Kept("what somebody said against a fact, and the answer: sealed with the person's key", LEAVES),
    "fact_refusals": Kept("which lines of a feed were refused, and why; nothing of their content", timedelta(days=90)),
    "fact_statements": Kept(
        "what departments state about somebody: in clear, for rules are asked by it, under an internal random id, "
        "without name or number",
        "until its consent or the person goes",
    ),
    "facts": Kept(
        "of that what counts now: in clear under an internal random id, for rules are asked by it",
        "until its consent or the person goes",
    ),
    "followers": Kept("how far duties have come; no person", "as long as the duty"),
    "forecasts": Kept("the newest forecast of each division; no person", "until the next one"),
    "idempotency": Kept("answers to repeated requests, sealed", timedelta(days=1)),
    "intake": Kept("messages of partners", timedelta(days=180)),
    "item_versions": Kept("published versions of services; no person", EVIDENCE),
    "items": Kept("services of the catalogue as they are drafted; no person", "as long as the item"),
    "joins": Kept("that two accounts were to become one, or did", "a week, or a year once done"),
    "known_origins": Kept("where an officer's account has logged in from, by blind index", timedelta(days=31)),
    "log_ins": Kept("refresh tokens, as hashes", "90 days unused, a year at most"),
    "marks": Kept("which alerts a person has read", timedelta(days=90)),
    "notices": Kept("words of personal notices, sealed with the person's key", "90 days after it could be sent"),
    "officers": Kept("officers' accounts; name and second factor sealed", "as long as the account"),
    "offer_days": Kept("how many offers of a rule came how far, by day; no person", EVIDENCE),
    "offers": Kept("which services somebody was offered, and what became of it", LEAVES),
    "officer_codes": Kept("codes by which an officer binds an account, as hashes", "five minutes"),
    "one_time_codes": Kept("codes and their bounds, as HMACs and blind indexes", "a day at most"),
    "outbox": Kept("that a notice was told to a person, for the inbox", timedelta(days=90)),
    "pages": Kept("who was sent what, by internal id", "30 days after the release, then sums only"),
    "partners": Kept("partner systems", "as long as the partner"),
    "person_keys": Kept("a key per person; thrown away when they leave, a tombstone stays", LEAVES),
    "proofs": Kept("who has still to prove who they are; telephone sealed", "minutes"),
    "ranges": Kept("sums per division of a broadcast; no person", EVIDENCE),
    "rates": Kept("how fast providers took messages", timedelta(days=7)),
    "ratings": Kept(
        "how finished cases were rated; the comment sealed, the case as blind index",
        "for good: figures, without words and person when the person leaves",
    ),
    "relations": Kept("who acts for whom, with what consent", "until one of the two leaves"),
    "resources": Kept("what can be booked; no person", "as long as it exists"),
    "rules": Kept("what a city tells of by itself, with officers' accounts; no citizen", EVIDENCE),
    "runs": Kept("which rule was run for which day; no person", EVIDENCE),
    "seats": Kept("who booked what, by internal id", timedelta(days=2 * 365)),
    "sessions": Kept("officers' sessions; origin sealed", timedelta(hours=13)),
    "typhoons": Kept("tracks of typhoons; no person", "two months after the last word"),
    "standing_orders": Kept("what two officers have signed for a partner's alerts", EVIDENCE),
    "used_codes": Kept("hashes of WeChat's one-time codes", timedelta(minutes=10)),
    "uses": Kept("who used a person's data, for the person to read", timedelta(days=3 * 365)),
    "waiting": Kept("what a person waits for, and what was offered", "90 days after it ended"),
    "weather_feeds": Kept("how weather feeds are doing; no person", "as long as the feed"),
    "weather_files": Kept("which messages of a feed were taken; no person", "two months"),
    "weather_subscriptions": Kept("which weather somebody wants to hear of, when, for which places", LEAVES),
    "wechat_sessions": Kept("WeChat's session keys, sealed", "two days"),
}


def rows() -> str:
    """The table as Markdown."""
    lines = [f"| `{name}` | {kept.what} | {kept.told} |" for name, kept in sorted(KEPT.items())]
    return "\n".join(["| collection | what | kept |", "|---|---|---|", *lines])
