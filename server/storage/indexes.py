"""All indexes, by collection. What grows with the number of citizens is read by one of these or not at all.

`facts` has one more per fact that a rule may begin with (`server/storage/facts.py`).
"""

from __future__ import annotations

from pymongo import ASCENDING, DESCENDING, IndexModel

DAY_S = 24 * 3600

INDEXES: dict[str, list[IndexModel]] = {
    "applications": [
        IndexModel(
            [("number", ASCENDING)], unique=True, partialFilterExpression={"number": {"$exists": True}}, name="number"
        ),
        IndexModel([("people", ASCENDING), ("changed_at", DESCENDING), ("_id", DESCENDING)], name="own"),
        IndexModel(  # who has applied for what: read from this index alone
            [(name, ASCENDING) for name in ("citizen", "item", "is_open", "state")],
            partialFilterExpression={"number": {"$exists": True}},
            name="applied",
        ),
        IndexModel(  # of a unit in a division, nearest deadline first
            [("inboxes", ASCENDING), ("due_at", ASCENDING), ("_id", ASCENDING)],
            partialFilterExpression={"is_open": True},
            name="inboxes",
        ),
        IndexModel([("card_at", ASCENDING)], partialFilterExpression={"card_at": {"$type": "date"}}, name="cards"),
        IndexModel(  # what has a card and is not over, whoever's: see `duty`
            [("card", ASCENDING)], partialFilterExpression={"is_open": True, "card": {"$gt": "none"}}, name="carded"
        ),
        IndexModel(
            [("unlogged.at", ASCENDING)], partialFilterExpression={"unlogged.at": {"$type": "date"}}, name="unlogged_at"
        ),
        IndexModel([("seat.until", ASCENDING)], partialFilterExpression={"seat.until": {"$type": "date"}}, name="seat"),
        IndexModel(
            [("lapse_at", ASCENDING)], partialFilterExpression={"lapse_at": {"$type": "date"}}, name="co_applicants"
        ),
        IndexModel([("idle_at", ASCENDING)], partialFilterExpression={"idle_at": {"$type": "date"}}, name="idle"),
        IndexModel(  # of one offer one application
            [("offer", ASCENDING)], unique=True, partialFilterExpression={"offer": {"$exists": True}}, name="offer"
        ),
        IndexModel(
            [("changed_at", ASCENDING), ("_id", ASCENDING)],
            partialFilterExpression={"offer": {"$exists": True}},
            name="of_offers",
        ),
        IndexModel([("close_at", ASCENDING)], partialFilterExpression={"close_at": {"$type": "date"}}, name="closing"),
        IndexModel(  # who was named, of the few that somebody was named in
            [("agreements.citizen", ASCENDING)],
            partialFilterExpression={"agreements.citizen": {"$exists": True}},
            name="named",
        ),
    ],
    "accounts": [
        IndexModel([("public", ASCENDING)], unique=True),
        IndexModel([("id_index", ASCENDING)], unique=True, sparse=True),  # an ID number or USCC belongs to one account
    ],
    "attachments": [  # the files themselves are in the GridFS bucket attachment_data
        IndexModel([("application", ASCENDING)]),
        IndexModel([("citizen", ASCENDING)]),
        IndexModel([("at", ASCENDING)], partialFilterExpression={"is_loose": True}, name="loose"),
    ],
    "ratings": [
        IndexModel([("case", ASCENDING)], unique=True),  # one rating per case
        IndexModel([("unit", ASCENDING), ("state", ASCENDING), ("due_on", ASCENDING)]),
        IndexModel([("citizen", ASCENDING)]),
        IndexModel([("is_unlogged", ASCENDING)], partialFilterExpression={"is_unlogged": True}, name="unlogged"),
    ],
    "relations": [
        IndexModel(  # of two people one relation is alive; and one question waits
            [("actor", ASCENDING), ("subject", ASCENDING)],
            unique=True,
            partialFilterExpression={"state": "active"},
            name="one_alive",
        ),
        IndexModel(
            [("actor", ASCENDING), ("about", ASCENDING)],
            unique=True,
            partialFilterExpression={"state": "asked", "about": {"$exists": True}},
            name="one_question",
        ),
        IndexModel(
            [("actor", ASCENDING), ("subject", ASCENDING)],
            unique=True,
            partialFilterExpression={"state": "asked", "kind": "organisation"},
            name="one_invitation",
        ),
        IndexModel([("about", ASCENDING)], partialFilterExpression={"state": "asked"}, name="asked_of"),
        IndexModel([("actor", ASCENDING), ("asked_at", DESCENDING)]),
        IndexModel([("subject", ASCENDING), ("asked_at", DESCENDING)]),
    ],
    "joins": [
        IndexModel([("survivor", ASCENDING)]),
        IndexModel([("absorbed", ASCENDING)]),
        IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0),
    ],
    "citizens": [
        IndexModel([("places.divisions", ASCENDING), ("_id", ASCENDING)]),
        IndexModel([("is_tester", ASCENDING)], partialFilterExpression={"is_tester": True}),
        IndexModel(  # a merge of equality bounds, in the order of ids
            [("follows", ASCENDING), ("_id", ASCENDING)],
            partialFilterExpression={"follows": {"$exists": True}},
            name="follows",
        ),
    ],
    "bulletins": [
        IndexModel(  # what readers ask, newest first
            [("marks", ASCENDING), ("changed_at", DESCENDING), ("_id", DESCENDING)],
            partialFilterExpression={"is_shown": True},
            name="shown",
        ),
        IndexModel([("until", ASCENDING)], partialFilterExpression={"is_shown": True}, name="shown_until"),
        IndexModel([("edited_at", ASCENDING)], partialFilterExpression={"is_unsettled": True}, name="unsettled"),
        IndexModel([("within", ASCENDING), ("edited_at", DESCENDING), ("_id", DESCENDING)], name="office"),
    ],
    "addresses": [
        *(IndexModel([(f"{c}.index", ASCENDING)], unique=True, sparse=True) for c in ("wechat", "push", "sms")),
        IndexModel([("retired.index", ASCENDING)], sparse=True),
    ],
    "fact_statements": [IndexModel([("citizen", ASCENDING), ("fact", ASCENDING)])],
    "fact_conflicts": [IndexModel([("citizen", ASCENDING)]), IndexModel([("since_at", ASCENDING)])],
    "fact_imports": [
        IndexModel([("began_at", ASCENDING)]),
        IndexModel([("changed_at", ASCENDING)], expireAfterSeconds=2 * 365 * DAY_S, name="forgotten"),
    ],
    "fact_refusals": [
        IndexModel([("import", ASCENDING), ("line", ASCENDING)]),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=90 * DAY_S, name="forgotten"),
    ],
    "fact_objections": [
        IndexModel(  # one at a time of a person and fact
            [("citizen", ASCENDING), ("fact", ASCENDING)],
            unique=True,
            partialFilterExpression={"is_open": True},
            name="one_open",
        ),
        IndexModel([("citizen", ASCENDING), ("at", ASCENDING)]),
        IndexModel([("is_open", ASCENDING), ("at", ASCENDING), ("_id", ASCENDING)], name="desk"),
    ],
    "offers": [
        IndexModel([("citizen", ASCENDING), ("found_at", DESCENDING), ("_id", DESCENDING)], name="own"),
        IndexModel(  # ids say so, but those of an account that became part of another
            [("citizen", ASCENDING), ("rule", ASCENDING), ("period", ASCENDING)], unique=True, name="once"
        ),
        IndexModel([("rule", ASCENDING)], partialFilterExpression={"is_open": True}, name="open_by_rule"),
        IndexModel([("citizen", ASCENDING), ("rule", ASCENDING), ("found_at", ASCENDING)], name="caps"),
        IndexModel([("found_at", ASCENDING)], partialFilterExpression={"state": "found"}, name="untold"),
        IndexModel([("expires_at", ASCENDING)], partialFilterExpression={"is_open": True}, name="lapse"),
        IndexModel([("digest", ASCENDING)], partialFilterExpression={"digest": {"$gt": ""}}, name="digests"),
        IndexModel([("application", ASCENDING)], sparse=True),
        IndexModel([("rule", ASCENDING), ("found_at", ASCENDING)], name="counted"),
        IndexModel(
            [("unfinished_at", ASCENDING)],
            partialFilterExpression={"unfinished_at": {"$type": "date"}},
            name="unfinished",
        ),
    ],
    "offer_days": [
        IndexModel([("due_at", ASCENDING)]),
        IndexModel([("rule", ASCENDING), ("day", DESCENDING)], unique=True),
    ],
    "rules": [
        IndexModel(  # of each rule one version on the desk and one in force
            [("id", ASCENDING), ("slot", ASCENDING)],
            unique=True,
            partialFilterExpression={"slot": {"$exists": True}},
            name="one_per_slot",
        ),
        IndexModel([("id", ASCENDING), ("version", DESCENDING)]),
        IndexModel([("changed_at", ASCENDING)], partialFilterExpression={"is_left": True}, name="left"),
    ],
    "runs": [
        IndexModel(
            [("tries", ASCENDING), ("day", ASCENDING), ("_id", ASCENDING)],
            partialFilterExpression={"state": "open"},
            name="to_do",
        ),
        IndexModel([("rule", ASCENDING), ("day", DESCENDING)]),
    ],
    "log_ins": [
        IndexModel([("family", ASCENDING)], unique=True),
        IndexModel([("citizen", ASCENDING)]),
        IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0),
    ],
    "devices": [
        IndexModel([("log_in", ASCENDING)], unique=True, sparse=True),  # an app has one token at a time
        IndexModel([("citizen", ASCENDING)]),
        IndexModel([("index", ASCENDING)]),
    ],
    "used_codes": [IndexModel([("at", ASCENDING)], expireAfterSeconds=600)],
    "wechat_sessions": [IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0)],
    "proofs": [IndexModel([("citizen", ASCENDING)]), IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0)],
    "broadcasts": [
        IndexModel([("state", ASCENDING), ("changed_at", ASCENDING)]),
        IndexModel([("chain", ASCENDING)]),
        IndexModel([("released_at", ASCENDING)]),
        IndexModel([("released_at", ASCENDING)], partialFilterExpression={"is_bare": False}, name="with_pages"),
    ],
    "ranges": [
        IndexModel([("broadcast", ASCENDING), ("number", ASCENDING)]),
        IndexModel([("lane", ASCENDING)], partialFilterExpression={"state": "open"}, name="open_ranges"),
    ],
    "pages": [
        IndexModel([(name, ASCENDING) for name in ("broadcast", "number", "channel", "lo", "hi")]),
        IndexModel(
            [("lane", ASCENDING), ("channel", ASCENDING), ("lease.at", ASCENDING), ("not_before", ASCENDING)],
            partialFilterExpression={"state": "open"},
            name="open_by_lane",
        ),
        IndexModel([("broadcast", ASCENDING)], partialFilterExpression={"state": "open"}, name="open_by_broadcast"),
        IndexModel([("state", ASCENDING)], partialFilterExpression={"state": "dead"}, name="dead_pages"),
    ],
    "alerts": [
        IndexModel(  # a chain never forks: of two released messages that follow the same one, one gets in
            [("follows", ASCENDING)],
            unique=True,
            partialFilterExpression={"follows": {"$type": "string"}, "released_at": {"$type": "date"}},
            name="one_successor",
        ),
        IndexModel([("chain", ASCENDING), ("released_at", ASCENDING)]),
        IndexModel(  # of one message of a partner a standing order makes one alert
            [("origin", ASCENDING)], unique=True, partialFilterExpression={"origin": {"$gt": ""}}, name="one_of_message"
        ),
        IndexModel([("state", ASCENDING), ("expires_at", ASCENDING)]),
        IndexModel([("steps.0.at", DESCENDING), ("_id", DESCENDING)], name="by_begin"),
        IndexModel([("released_at", ASCENDING)], partialFilterExpression={"is_unpublished": True}, name="unpublished"),
        IndexModel([("is_unlogged", ASCENDING)], partialFilterExpression={"is_unlogged": True}, name="unlogged"),
        *(  # what the public may see: the newest, what has not run out, and what followed what
            IndexModel([(field, ASCENDING)], partialFilterExpression={"is_public": True}, name=f"public_{field}")
            for field in ("released_at", "expires_at", "follows")
        ),
    ],
    "events": [IndexModel([("alert", ASCENDING)], unique=True)],
    "item_versions": [IndexModel([("item", ASCENDING), ("version", DESCENDING)], unique=True)],
    "items": [
        IndexModel([("code", ASCENDING)], unique=True),
        IndexModel([("seq", ASCENDING)]),
        IndexModel([("division", ASCENDING), ("_id", ASCENDING)]),
    ],
    "partners": [IndexModel([("key", ASCENDING)], unique=True)],
    "deliveries": [
        IndexModel([("partner", ASCENDING), ("due_at", ASCENDING)], partialFilterExpression={"state": "waiting"}),
        IndexModel([("done_at", ASCENDING)], expireAfterSeconds=30 * 24 * 3600),
    ],
    "idempotency": [IndexModel([("begun_at", ASCENDING)], expireAfterSeconds=DAY_S)],
    "intake": [
        IndexModel([("partner", ASCENDING), ("received_at", ASCENDING)]),
        IndexModel(  # an identifier is never used twice: of two messages that come at once, one is the first
            [("sender", ASCENDING), ("identifier", ASCENDING)],
            unique=True,
            partialFilterExpression={"is_first": True},
            name="first_of_identifier",
        ),
        IndexModel([("sender", ASCENDING), ("chain", ASCENDING)]),
        IndexModel([("received_at", ASCENDING)], partialFilterExpression={"awaits_order": True}, name="awaits_order"),
        IndexModel([("received_at", ASCENDING)], expireAfterSeconds=180 * 24 * 3600),
    ],
    "standing_orders": [
        IndexModel([("terms.partner", ASCENDING), ("_id", ASCENDING)]),
        IndexModel([("is_unlogged", ASCENDING)], partialFilterExpression={"is_unlogged": True}, name="unlogged"),
    ],
    "resources": [
        IndexModel([("lay_on", ASCENDING)]),
        IndexModel([("spot", "2dsphere")]),
        *(IndexModel([(field, ASCENDING), ("_id", ASCENDING)]) for field in ("unit", "group", "kind", "division")),
    ],
    "rates": [
        IndexModel([("channel", ASCENDING), ("at", ASCENDING)]),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=7 * 24 * 3600),
    ],
    "officers": [
        IndexModel([("index", ASCENDING)], unique=True),
        IndexModel([("person", ASCENDING)]),
        IndexModel([("link", ASCENDING)], unique=True, sparse=True),
        IndexModel([("phone.citizen", ASCENDING)], unique=True, sparse=True),  # an account belongs to one officer
    ],
    "officer_codes": [
        IndexModel([("code", ASCENDING)], unique=True),
        IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0),
    ],
    "sessions": [
        IndexModel([("id", ASCENDING)], unique=True),
        IndexModel([("officer", ASCENDING), ("created_at", ASCENDING)]),
        IndexModel([("created_at", ASCENDING)], expireAfterSeconds=13 * 3600, name="forgotten"),
    ],
    "attempts": [IndexModel([("at", ASCENDING)], expireAfterSeconds=2 * 24 * 3600)],
    "known_origins": [IndexModel([("at", ASCENDING)], expireAfterSeconds=31 * 24 * 3600)],
    "audit": [
        IndexModel([("stream", ASCENDING), ("seq", ASCENDING)], unique=True),
        IndexModel([("object", ASCENDING), ("at", ASCENDING)]),
    ],
    "audit_checkpoints": [IndexModel([("stream", ASCENDING), ("seq", ASCENDING)], unique=True)],
    "callbacks": [IndexModel([("at", ASCENDING)], expireAfterSeconds=3 * DAY_S)],
    "outbox": [
        IndexModel(
            [("lane", ASCENDING), ("due_at", ASCENDING), ("citizen", ASCENDING)],
            partialFilterExpression={"state": "waiting"},
            name="waiting",
        ),
        IndexModel([("citizen", ASCENDING), ("due_at", DESCENDING), ("item", DESCENDING)], name="inbox"),
        # As long as a cause may be handled again (a repeated request, a rule run twice), its key has to be known; and
        # as long as its citizen shall find it in the inbox.
        IndexModel([("done_at", ASCENDING)], expireAfterSeconds=90 * DAY_S),
    ],
    "notices": [
        IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0),
        IndexModel([("citizen", ASCENDING)]),
    ],
    "marks": [
        IndexModel([("citizen", ASCENDING), ("chain", ASCENDING)], unique=True),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=90 * DAY_S),
    ],
    "acknowledgements": [
        IndexModel([("chain", ASCENDING), ("citizen", ASCENDING)], unique=True),
        IndexModel([("citizen", ASCENDING)]),
        IndexModel([("chain", ASCENDING), ("division", ASCENDING), ("state", ASCENDING)], name="counted"),
        IndexModel(
            [("chain", ASCENDING), ("since", ASCENDING), ("_id", ASCENDING)],
            partialFilterExpression={"state": "help"},
            name="help",
        ),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=180 * DAY_S),
    ],
    "one_time_codes": [IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0)],
    "consents": [
        IndexModel(  # two devices at once: the second looks again
            [("citizen", ASCENDING), ("purpose", ASCENDING), ("at", ASCENDING)], unique=True
        )
    ],
    "erasures": [
        IndexModel([("asked_at", ASCENDING)], partialFilterExpression={"done_at": None}, name="open"),
        IndexModel([("done_at", ASCENDING)], expireAfterSeconds=3 * 365 * DAY_S, name="proved"),
    ],
    "uses": [
        IndexModel([("citizen", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)]),
        IndexModel([("at", ASCENDING)], expireAfterSeconds=3 * 365 * DAY_S, name="forgotten"),
    ],
    "batches": [IndexModel([("began_at", ASCENDING)])],
    "waiting": [
        IndexModel([("holder", ASCENDING), ("key", ASCENDING)], unique=True),
        IndexModel(  # so many at a time
            [("citizen", ASCENDING), ("place", ASCENDING)],
            unique=True,
            partialFilterExpression={"place": {"$exists": True}},
            name="one_per_place",
        ),
        IndexModel([("citizen", ASCENDING)]),
        IndexModel(
            [(name, ASCENDING) for name in ("group", "priority", "asked_at", "_id")],
            partialFilterExpression={"stage": "waiting"},
            name="order",
        ),
        IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0),
    ],
    "closures": [
        IndexModel([("seats", ASCENDING)], partialFilterExpression={"is_open": True}, name="open_by_seat"),
        IndexModel([("due_at", ASCENDING)], partialFilterExpression={"is_open": True}, name="open"),
        IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0),
    ],
    "chains": [
        IndexModel([("holder", ASCENDING), ("key", ASCENDING)], unique=True),
        IndexModel([("citizen", ASCENDING), ("begins_at", DESCENDING)]),
        IndexModel([("begins_at", ASCENDING)], expireAfterSeconds=2 * 365 * DAY_S, name="forgotten"),
        IndexModel([("until", ASCENDING)], partialFilterExpression={"until": {"$exists": True}}, name="unfinished"),
    ],
    "calendars": [IndexModel([("digest", ASCENDING)], unique=True)],
    "seats": [
        IndexModel([("ends_at", ASCENDING)], expireAfterSeconds=2 * 365 * DAY_S, name="forgotten"),
        IndexModel([("slot", ASCENDING), ("rank", ASCENDING)]),
        IndexModel(  # what can be taken from when on; counts per slot are read from this index alone
            [(name, ASCENDING) for name in ("slot", "quota", "open_at", "rank")],
            partialFilterExpression={"open_at": {"$exists": True}},
            name="open",
        ),
        IndexModel(
            [(name, ASCENDING) for name in ("booking.citizen", "group", "day", "booking.part")],
            unique=True,
            partialFilterExpression={"booking.citizen": {"$exists": True}},
            name="one_per_group_and_day",
        ),
        IndexModel(
            [("booking.holder", ASCENDING), ("group", ASCENDING), ("booking.part", ASCENDING)],
            unique=True,
            partialFilterExpression={"state": "held"},
            name="one_hold",
        ),
        IndexModel(
            [("booking.holder", ASCENDING), ("booking.key", ASCENDING)],
            unique=True,
            partialFilterExpression={"booking.holder": {"$exists": True}},
            name="one_per_key",
        ),
        IndexModel(
            [("booking.code", ASCENDING)],
            unique=True,
            partialFilterExpression={"booking.code": {"$exists": True}},
            name="code",
        ),
        IndexModel(  # what can be offered to those who wait
            [(name, ASCENDING) for name in ("group", "day", "open_at")],
            partialFilterExpression={"open_at": {"$exists": True}},
            name="comes_open",
        ),
        *(
            IndexModel([(f"past.{field}", ASCENDING)], sparse=True, name=f"past_{field}")
            for field in ("citizen", "code", "holder")
        ),
        *(  # of the few that are being moved just now
            IndexModel([(f"transit.{field}", ASCENDING)], sparse=True, name=f"transit_{field}")
            for field in ("code", "until", "booking.citizen", "booking.holder")
        ),
        IndexModel([("changed_at", ASCENDING), ("slot", ASCENDING)]),
        IndexModel(
            [("begins_at", ASCENDING), ("slot", ASCENDING)], partialFilterExpression={"state": "booked"}, name="absent"
        ),
        IndexModel(
            [(name, ASCENDING) for name in ("resource", "day", "booking.queue_at", "_id")],
            partialFilterExpression={"state": "checked_in"},
            name="queue",
        ),
    ],
    "forecasts": [IndexModel([("as_of", DESCENDING)])],
    "typhoons": [
        IndexModel([("is_active", ASCENDING)], partialFilterExpression={"is_active": True}, name="active"),
        IndexModel([("as_of", DESCENDING)]),
        IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0),
    ],
    "weather_feeds": [IndexModel([("heard_at", DESCENDING)])],
    "weather_files": [
        IndexModel([("feed", ASCENDING), ("digest", ASCENDING)]),
        IndexModel([("gone_at", ASCENDING)], expireAfterSeconds=0),
    ],
    "weather_subscriptions": [
        IndexModel([("minute", ASCENDING), ("_id", ASCENDING)], name="due"),
        IndexModel([("citizen", ASCENDING), ("slot", ASCENDING)], unique=True, name="own"),
    ],
}
