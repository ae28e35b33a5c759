"""The rule table: every rule finds its fault, names the place and the gravity, and none of them stops the others."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings

from server.domain.alerts.cap import to_cap
from server.domain.alerts.context import Approval, Context, Departure, KnownAlert, Message, Profile, Signature
from server.domain.alerts.finding import Finding, Gravity, Patch
from server.domain.alerts.geometry import crossing, is_same_division
from server.domain.alerts.model import Alert, China, Info, Method, cap_time, parse_time
from server.domain.alerts.reading import inspect, read
from server.domain.alerts.repair import patched, repaired
from server.domain.alerts.rules import RULES, check
from tests.domain.alert_messages import CAP, GUOTU, alerts, cap

Change = tuple[str, str]
SQUARE = "22.50,114.00 22.50,114.10 22.60,114.10 22.60,114.00 22.50,114.00"
UPDATE = ("<msgType>Alert", "<msgType>Update")
NOW = datetime(2026, 8, 1, 1, 31, tzinfo=UTC)


def refer(text: str) -> Change:
    return "<incidents>", f"<references>{text}</references><incidents>"


# (code, changes, path of the finding): what the schema cannot see, and what it can
FAULTS: list[tuple[str, list[Change], str]] = [
    ("CAP-003", [("<status>Actual</status>", "")], "/alert/msgType"),
    ("CAP-003", [("<source>值班室</source>", ""), ("<scope>", "<source>x</source><source/><scope>")], "/alert/source"),
    ("CAP-003", [("<size>3", "<size>three")], "/alert/info[1]/resource[1]/size"),
    ("CAP-003", [("<language>zh-CN", "<language>zh_CN")], "/alert/info[1]/language"),
    ("CAP-003", [("<web>", "<web>http://[")], "/alert/info[1]/web"),
    ("CAP-003", [("<event>台风", "<event><b/>台风")], "/alert/info[1]/event/b"),
    ("CAP-003", [("<status>", '<status id="1">')], "/alert/status/@id"),
    ("CAP-003", [("<status>", "stray<status>")], "/alert"),
    ("CAP-003", [("<areaDesc>福田区</areaDesc>", "")], "/alert/info[1]/area[1]/polygon[1]"),
    ("CAP-004", [("<identifier>44030041600000_20260801093000", "<identifier>")], "/alert/identifier"),
    ("CAP-004", [("<identifier>", "<identifier>a b,")], "/alert/identifier"),
    ("CAP-005", [("<sender>44030041600000", "<sender>")], "/alert/sender"),
    ("CAP-005", [("<sender>", "<sender>a b,")], "/alert/sender"),
    ("CAP-006", [("<sent>2026-08-01T09:30:00+08:00", "<sent>2026-08-01T01:30:00Z")], "/alert/sent"),
    ("CAP-006", [("<sent>2026-08-01T09:30:00+08:00", "<sent>2026-08-01T09:30:00,08:00")], "/alert/sent"),
    ("CAP-006", [("<onset>2026-08-01T10:00:00+", "<onset>2026-08-01T10:00:00.5+")], "/alert/info[1]/onset"),
    ("CAP-006", [("<sent>2026-08-01T09:30:00+08:00", "<sent>2026-08-01T01:30:00+00:00")], "/alert/sent"),
    ("CAP-008", [UPDATE], "/alert/references"),
    ("CAP-008", [UPDATE, refer("44030041600000_20260801080000")], "/alert/references"),
    ("CAP-014", [("</scope>", "</scope><restriction>x</restriction>")], "/alert/restriction"),
    ("CAP-014", [("<scope>Public", "<scope>Restricted")], "/alert/restriction"),
    ("CAP-014", [("<scope>Public", "<scope>Private")], "/alert/addresses"),
    ("CAP-014", [("<scope>Public</scope>", '<scope>Private</scope><addresses>"a b</addresses>')], "/alert/addresses"),
    ("CAP-015", [("<status>Actual", "<status>Exercise")], "/alert/note"),
    ("CAP-016", [(CAP[CAP.index("<info>") : CAP.rindex("</info>") + 7], "")], "/alert"),
    (
        "CAP-017",
        [("<language>en-US", "<language>zh-CN"), ("<event>Typhoon", "<event>台风"), ("Futian District", "福田区")],
        "/alert/info[2]/language",
    ),
    ("CAP-018", [("<severity>Extreme", "<severity>Severe")], "/alert/info[2]/severity"),
    ("CAP-019", [("<language>zh-CN", "<language>en-GB")], "/alert/info[1]/language"),
    ("CAP-019", [("<language>en-US", "<language>zh-HK")], "/alert/info[2]/language"),
    ("CAP-020", [("<certainty>Observed", "<certainty>Very Likely")], "/alert/info[1]/certainty"),
    ("CAP-020", [("<status>Actual", "<status>actual")], "/alert/status"),
    ("CAP-021", [("<urgency>Immediate", "<urgency>Unknown")], "/alert/info[1]/urgency"),
    ("CAP-022", [("<expires>2026-08-01T21", "<expires>2026-08-01T09")], "/alert/info[1]/expires"),
    ("CAP-022", [("<expires>2026-08-01T21:30:00+08:00</expires>", "")], "/alert/info[1]/expires"),
    ("CAP-023", [("<expires>2026-08-01", "<expires>2026-08-04")], "/alert/info[1]/expires"),
    ("CAP-024", [(CAP[CAP.index("<polygon>") : CAP.index("<altitude>")], "")], "/alert/info[1]/area[1]"),
    ("CAP-025", [(SQUARE, "abc")], "/alert/info[1]/area[1]/polygon[1]"),
    ("CAP-025", [(SQUARE, "22.5,114.0 22.5,114.1 22.6,114.1")], "/alert/info[1]/area[1]/polygon[1]"),
    ("CAP-025", [(SQUARE, SQUARE.replace("22.60,114.10", "999,114.10"))], "/alert/info[1]/area[1]/polygon[1]"),
    ("CAP-025", [(SQUARE, "22.5,114 22.6,114.1 22.5,114.1 22.6,114 22.5,114")], "/alert/info[1]/area[1]/polygon[1]"),
    ("CAP-025", [(SQUARE, "22.5,114.0 22.6,nan 22.5,114.1 22.5,114.0")], "/alert/info[1]/area[1]/polygon[1]"),
    ("CAP-026", [(SQUARE, "80.0,30.0 80.0,30.1 80.1,30.1 80.0,30.0")], "/alert/info[1]/area[1]/polygon[1]"),
    ("CAP-027", [("22.55,114.05 3.5", "22.55,114.05")], "/alert/info[1]/area[1]/circle[1]"),
    ("CAP-027", [("22.55,114.05 3.5", "22.55,114.05 0")], "/alert/info[1]/area[1]/circle[1]"),
    ("CAP-028", [(SQUARE, " ".join(["22.5,114.0"] * 2001))], "/alert/info[1]/area[1]"),
    ("CAP-029", [("<value>440304<", "<value>4403<")], "/alert/info[1]/area[1]/geocode[1]/value"),
    ("CAP-029", [("<value>440304<", "<value> <")], "/alert/info[1]/area[1]/geocode[1]/value"),
    ("CAP-030", [("CPEAS Geographic Code", "EXCLUDE_POLYGON")], "/alert/info[1]/area[1]/geocode[1]/value"),
    ("CAP-032", [("<altitude>0</altitude>", "")], "/alert/info[1]/area[1]/ceiling"),
    ("CAP-032", [("<altitude>0<", "<altitude>301<")], "/alert/info[1]/area[1]/ceiling"),
    ("CAP-033", [("<headline>", "<headline>" + "长" * 160)], "/alert/info[1]/headline"),
    ("CAP-033", [("<event>台风", "<event>" + "长" * 36)], "/alert/info[1]/event"),
    ("CAP-034", [("<instruction>", "<instruction>&lt;br/&gt;")], "/alert/info[1]/instruction"),
    ("CAP-034", [("<code>profile:x", "<code>\nprofile:x")], "/alert/code[1]"),
    ("CAP-036", [("<web>https://weather.example.cn", "<web>")], "/alert/info[1]/web"),
    ("CAP-036", [("<derefUri>YWJj", "<derefUri>YWJ!")], "/alert/info[1]/resource[1]/derefUri"),
    ("CAP-036", [("<digest>a9", "<digest>b9")], "/alert/info[1]/resource[1]/digest"),
    ("CAP-036", [("<size>3", "<size>4")], "/alert/info[1]/resource[1]/size"),
    ("CAP-037", [("<instruction>请留在室内，关好门窗。</instruction>", "")], "/alert/info[1]/instruction"),
    ("CAP-038", [("<msgType>Alert", "<msgType>Cancel")], "/alert/note"),
]  # fmt: skip


def found(findings: list[Finding] | tuple[Finding, ...]) -> set[tuple[str, str]]:
    return {(finding.code, finding.path) for finding in findings}


def alert_of(*changes: Change) -> Alert:
    alert = read(cap(*changes)).alert
    assert alert is not None
    return alert


def test_the_message_that_the_faults_are_planted_in_has_none():
    assert inspect(cap()).findings == ()
    assert check(alert_of(), Profile.AUTHOR) == []


@pytest.mark.parametrize(("code", "changes", "path"), FAULTS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_planted_fault_is_found_at_its_place(code: str, changes: list[Change], path: str):
    data = cap(*changes)
    reading = read(data)
    assert reading.alert is not None
    message = Message(reading.alert, is_schema_known=True, lines=reading.lines)
    everything = [*reading.findings, *check(message, Profile.AUTHOR)]
    hits = [finding for finding in everything if (finding.code, finding.path) == (code, path)]
    assert hits, found(everything)
    assert all(finding.zh and finding.en and finding.line for finding in hits)


def test_every_rule_of_the_table_has_a_test_of_its_own():
    by_facts = {
        "CAP-007",
        "CAP-009",
        "CAP-010",
        "CAP-011",
        "CAP-012",
        "CAP-013",
        "CAP-031",
        "CAP-035",
        "CAP-039",
        "CAP-040",
        "CAP-041",
    }
    by_bytes = {"CAP-001", "CAP-002"}
    assert {rule.code for rule in RULES} == {f"CAP-{n:03}" for n in range(1, 42)}
    assert {code for code, _, _ in FAULTS} | by_facts | by_bytes == {rule.code for rule in RULES}


def test_one_check_finds_all_faults_at_once():
    changes = [
        ("<identifier>", "<identifier>a b,"), ("<scope>Public", "<scope>Restricted"), (SQUARE, "abc"),
        ("22.55,114.05 3.5", "22.55,114.05"), ("<expires>2026-08-01T21", "<expires>2026-08-01T09"),
    ]  # fmt: skip
    codes = {finding.code for finding in inspect(cap(*changes)).findings}
    assert {"CAP-004", "CAP-014", "CAP-022", "CAP-025", "CAP-027"} <= codes


def test_a_file_that_fails_its_schema_is_not_accepted_and_a_warning_keeps_nothing_out():
    invalid = inspect(cap(("<scope>Public</scope>", "")))
    assert (invalid.is_accepted, invalid.is_withheld) == (False, False)
    warned = inspect(cap((SQUARE, "abc")))
    assert warned.is_accepted
    assert {finding.severity for finding in warned.findings} == {Gravity.WARNING}


@pytest.mark.parametrize(
    "change", [("<sender>44030041600000", "<sender>"), ("<sent>2026-08-01T09:30:00+08:00", "<sent>soon")]
)
def test_what_nobody_can_attribute_or_date_is_withheld(change: Change):
    assert inspect(cap(change)).is_withheld


def test_a_guotu_message_is_not_blamed_for_what_its_form_cannot_say():
    inspection = inspect(GUOTU.encode())
    assert inspection.is_accepted
    assert "CAP-021" not in {finding.code for finding in inspection.findings}


def test_a_schema_finding_says_what_was_expected():
    (finding,) = [f for f in inspect(cap(("<scope>Public</scope>", ""))).findings if f.code == "CAP-003"]
    assert finding.en == "line 10: <code> not expected; expected one of <scope>"
    assert finding.line == 10


def test_a_crash_in_a_rule_is_filed_and_the_other_rules_still_speak():
    def broken(*_: object) -> None:
        raise ZeroDivisionError("ours")

    row = replace(RULES[0], test=broken)
    findings = check(alert_of((SQUARE, "abc")), Profile.INTAKE, table=(row, *RULES))
    assert [finding.code for finding in findings] == ["internal", "CAP-018", "CAP-025"]
    assert "ours" in findings[0].en
    assert findings[0].severity is Gravity.WARNING


@given(alerts)
@settings(max_examples=40, deadline=None)
def test_no_alert_makes_a_rule_crash(alert: Alert):
    context = Context(
        now=NOW,
        registered_senders=(),
        history=[KnownAlert(alert_of(), "c"), KnownAlert(alert, "d", NOW)],
        is_known_division=lambda _: False,
        may_warn=lambda _sender, _division: False,
    )
    for profile in Profile:
        assert all(finding.code != "internal" for finding in check(alert, profile, context))


def test_repairs_make_the_message_right():
    changes = [
        ("<sent>2026-08-01T09:30:00+08:00", "<sent>2026-08-01T01:30:00.5Z"),
        ("<certainty>Observed", "<certainty>Very Likely"),
        ("<certainty>Observed", "<certainty>likely"), (SQUARE, SQUARE.rpartition(" ")[0]), ("<code>", "<code> "),
    ]  # fmt: skip
    alert = alert_of(*changes)
    fixed = repaired(alert, check(alert, Profile.INTAKE))
    assert fixed.sent == "2026-08-01T01:30:00-00:00"
    assert fixed.infos[0].areas[0].polygons == (SQUARE,)
    assert check(fixed, Profile.INTAKE) == []
    assert inspect(to_cap(fixed)).findings == ()


def test_swapped_coordinates_are_put_right():
    swapped = " ".join(",".join(reversed(pair.split(","))) for pair in SQUARE.split())
    alert = alert_of((SQUARE, swapped))
    (finding,) = [f for f in check(alert, Profile.INTAKE) if f.code == "CAP-026"]
    assert finding.patch is not None
    assert patched(alert, finding.patch).infos[0].areas[0].polygons == (
        "22.5,114 22.5,114.1 22.6,114.1 22.6,114 22.5,114",
    )


def test_a_patch_for_a_place_that_is_gone_changes_nothing():
    alert = alert_of()
    for path in (
        "/alert/info[9]/event",
        "/alert/nothing",
        "/alert/status[2]",
        "/alert/status/x",
        "/alert",
        "/alert/info[1]",
    ):
        assert patched(alert, Patch(path, "x")) == alert, path


def best_s(action: Callable[[], object], tries: int = 5) -> float:
    """Seconds of the quickest try: what the code takes when the machine does nothing else."""
    took = []
    for _ in range(tries):
        started = time.perf_counter()
        action()
        took.append(time.perf_counter() - started)
    return min(took)


def test_a_ring_of_five_thousand_points_is_compared_with_itself_within_50_ms():
    zigzag = [(22.5 + n % 2 / 1000 + n / 1e6, 114 + n / 100_000) for n in range(4_997)]
    ring = (*zigzag, (22.5, 113.9), (22.502, 114.049), zigzag[0])
    assert crossing(ring) is not None
    assert best_s(lambda: crossing(ring)) < 0.05


def test_a_message_with_too_many_points_is_said_to_have_too_many():
    text = " ".join(f"{22.5 + n % 2 / 1000 + n / 1e6:.6f},{114 + n / 100_000:.5f}" for n in range(2_001))
    assert "CAP-028" in codes(alert_of((SQUARE, text)), Context())


# Rules that need facts beyond the message.


def known(chain: str = "c", *, ended_at: datetime | None = None, **update: object) -> KnownAlert:
    return KnownAlert(alert_of().model_copy(update=update), chain, ended_at)


def update_of(*entries: str, **more: object) -> Alert:
    return alert_of().model_copy(
        update={
            "identifier": "u",
            "msg_type": "Update",
            "references": " ".join(entries),
            "sent": "2026-08-01T09:40:00+08:00",
        }
        | more
    )


FIRST = str(alert_of().reference)


def codes(alert: Alert, context: Context, profile: Profile = Profile.AUTHOR) -> list[str]:
    return [finding.code for finding in check(alert, profile, context)]


def test_rules_without_their_facts_are_not_run():
    assert codes(update_of("nobody,nothing,2026-08-01T00:00:00+08:00"), Context()) == []


def test_an_identifier_is_never_used_for_other_content():
    assert codes(alert_of(), Context(history=[known()])) == []
    (finding,) = check(alert_of(), Profile.INTAKE, Context(history=[known(note="x", infos=())]))
    assert (finding.code, finding.severity) == ("CAP-004", Gravity.QUARANTINE)


def test_an_unregistered_sender_is_withheld():
    assert codes(alert_of(), Context(registered_senders={"44030041600000"})) == []
    (finding,) = check(alert_of(), Profile.INTAKE, Context(registered_senders={"other"}))
    assert (finding.code, finding.severity) == ("CAP-005", Gravity.QUARANTINE)


def test_sent_is_neither_in_the_future_nor_of_yesterday():
    sent_at = alert_of().sent_at
    assert sent_at is not None
    assert codes(alert_of(), Context(now=sent_at - timedelta(seconds=119))) == []
    assert codes(alert_of(), Context(now=sent_at - timedelta(seconds=121))) == ["CAP-007"]
    assert codes(alert_of(), Context(now=sent_at + timedelta(hours=25)))[0] == "CAP-007"


def test_a_message_that_has_run_out_is_told_by_the_field():
    (expired,) = {
        (f.code, f.path) for f in check(alert_of(), Profile.INTAKE, Context(now=NOW + timedelta(hours=12)))
    } - {("CAP-022", "/alert/info[2]/expires")}
    assert expired == ("CAP-022", "/alert/info[1]/expires")


def test_a_reference_leads_to_an_earlier_message_of_the_same_sender_once():
    history = [known()]
    assert codes(update_of(FIRST), Context(history=history)) == []
    assert codes(update_of("s,none,2026-08-01T09:00:00+08:00"), Context(history=history)) == ["CAP-009"]
    assert codes(update_of(FIRST, FIRST), Context(history=history)) == ["CAP-009"]
    assert codes(update_of(FIRST, "44030041600000,u,2026-08-01T09:40:00+08:00"), Context(history=history)) == [
        "CAP-009"
    ]
    assert codes(update_of(FIRST, sent="2026-08-01T09:00:00+08:00"), Context(history=history)) == ["CAP-009"]
    assert codes(update_of(FIRST, sender="other"), Context(history=history)) == ["CAP-009"]


def test_an_update_refers_to_every_open_message_of_its_chain():
    second = known(identifier="second")
    assert codes(update_of(FIRST), Context(history=[known(), second])) == ["CAP-010"]
    assert codes(update_of(FIRST, str(second.alert.reference)), Context(history=[known(), second])) == []
    late = datetime(2026, 8, 3, tzinfo=UTC)
    assert "CAP-010" not in codes(update_of(FIRST), Context(history=[known(), second], now=late))


def test_references_lead_to_one_chain():
    other = known("d", identifier="other")
    assert codes(update_of(FIRST, str(other.alert.reference)), Context(history=[known(), other])) == ["CAP-011"]


def test_nothing_follows_a_chain_that_has_ended():
    assert codes(update_of(FIRST), Context(history=[known(ended_at=NOW)])) == ["CAP-012"]


def test_the_same_content_again_is_withheld_as_a_reissue():
    again = alert_of().model_copy(update={"identifier": "again", "sent": "2026-08-01T09:50:00+08:00"})
    (finding,) = check(again, Profile.INTAKE, Context(history=[known()]))
    assert (finding.code, finding.severity) == ("CAP-013", Gravity.QUARANTINE)
    later = again.model_copy(update={"sent": "2026-08-01T10:31:00+08:00"})
    assert "CAP-013" not in codes(later, Context(history=[known()]))


def test_an_unknown_division_and_a_neighbours_division_are_named():
    unknown = check(alert_of(), Profile.AUTHOR, Context(is_known_division=lambda code: code != "440304001"))
    assert {(f.code, f.path) for f in unknown} == {
        ("CAP-029", f"/alert/info[{n}]/area[1]/geocode[2]/value") for n in (1, 2)
    }
    outside = check(alert_of(), Profile.AUTHOR, Context(may_warn=lambda _, division: division.startswith("4403040")))
    assert {f.code for f in outside} == {"CAP-031"}


def test_divisions_are_compared_by_prefix():
    for code, other in (
        ("440304", "440304001000"),
        ("440300", "440304"),
        ("440300000000", "440304001"),
        ("440304", "440304"),
    ):
        assert is_same_division(code, other)
        assert is_same_division(other, code)
    assert not is_same_division("440304", "440305001")
    assert not is_same_division("440304001", "440304002")


def test_a_text_too_long_for_its_channel_is_refused():
    china = China(methods=(Method(method_name="SMS", message="雨" * 671),))
    assert codes(alert_of().model_copy(update={"china": china}), Context()) == ["CAP-035"]


def test_a_required_signature_that_fails_withholds_the_message():
    for is_present, is_valid in ((False, False), (True, False)):
        facts = Signature(is_required=True, is_present=is_present, is_valid=is_valid)
        (finding,) = check(alert_of(), Profile.INTAKE, Context(signature=facts))
        assert (finding.code, finding.severity) == ("CAP-039", Gravity.QUARANTINE)
    unasked = Signature(is_required=False, is_present=True, is_valid=False)
    (finding,) = check(alert_of(), Profile.INTAKE, Context(signature=unasked))
    assert finding.severity is Gravity.WARNING
    assert codes(alert_of(), Context(signature=Signature(is_required=True, is_present=True, is_valid=True))) == []


def test_who_approves_did_not_submit_nor_write_a_red_alert_and_saw_these_bytes():
    digest = hashlib.sha256(b"x").hexdigest()
    right = Approval(author="a", submitter="a", approver="b", approved_hash=digest, content_hash=digest)
    assert codes(alert_of(), Context(approval=right)) == []
    for wrong in (
        replace(right, submitter="b"),
        replace(right, author="b"),
        replace(right, content_hash="other"),
    ):
        assert codes(alert_of(), Context(approval=wrong)) == ["CAP-040"]


def test_nothing_leaves_that_is_not_live_approved_in_time_and_in_turn():
    right = Departure(is_live=True, is_approved=True, is_expired=False, is_predecessor_done=True)
    assert codes(alert_of(), Context(departure=right)) == []
    for wrong in (
        replace(right, is_live=False),
        replace(right, is_approved=False),
        replace(right, is_expired=True),
        replace(right, is_predecessor_done=False),
    ):
        assert codes(alert_of(), Context(departure=wrong)) == ["CAP-041"]


def test_a_time_is_written_as_cap_wants_it_and_read_in_every_form():
    at = datetime(2026, 8, 1, 1, 30, tzinfo=UTC)
    assert cap_time(at, UTC) == "2026-08-01T01:30:00-00:00"
    for text in (
        "2026-08-01T01:30:00-00:00",
        "2026-08-01T01:30:00Z",
        "2026-08-01 09:30:00+08:00",
        " 2026-08-01T09:30:00.0+08:00",
    ):
        assert parse_time(text) == at
    for text in (
        "",
        None,
        "2026-02-30T00:00:00+08:00",
        "2026-08-01T09:30:00",
        "0000-01-01T00:00:00+08:00",
        "0001-01-01T00:00:00+08:00",
    ):
        assert parse_time(text) is None


def test_an_alert_ends_when_its_last_block_ends():
    assert alert_of().expires_at == datetime(2026, 8, 1, 13, 30, tzinfo=UTC)
    assert Alert(infos=(Info(),)).expires_at is None
