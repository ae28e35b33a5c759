"""Whether the ledger says what the providers wrote down.

J is the journal of the sandbox, written by another process: (channel, citizen) -> accepts. The report equals it if
  (accepted + undelivered + delivered + read) is in J;  (refused + suppressed + expired) is not in J;
  J minus the first set is unknown;                      what J holds twice was marked as sent again;
  nothing is planned, sending or in retry any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from server.domain import ranks
from server.domain.broadcasts import UNREACHABLE
from server.domain.pages import MOVED, Page, effective

Notice = tuple[str, int]  # channel, citizen


@dataclass(slots=True)
class Finding:
    """The outcome of a comparison. Empty lists are the proof; examples are (channel, citizen)."""

    notices: int = 0
    journal: int = 0
    not_in_journal: list[Notice] = field(default_factory=list)
    wrongly_in_journal: list[Notice] = field(default_factory=list)
    not_accounted: list[Notice] = field(default_factory=list)
    twice_without_mark: list[Notice] = field(default_factory=list)
    unfinished: list[Notice] = field(default_factory=list)
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def is_equal(self) -> bool:
        """The report equals the journal."""
        return not (
            self.not_in_journal
            or self.wrongly_in_journal
            or self.not_accounted
            or self.twice_without_mark
            or self.unfinished
        )

    def summary(self) -> dict[str, int]:
        """Counts for people."""
        lists = ("not_in_journal", "wrongly_in_journal", "not_accounted", "twice_without_mark", "unfinished")
        return {"notices": self.notices, "journal": self.journal} | {n: len(getattr(self, n)) for n in lists}


def judge(pages: Iterable[Page], journal: Counter[Notice]) -> Finding:
    """Compare all pages of the broadcasts in question with the accepts by (channel, citizen).

    A person may stand on several pages of one channel (an update, quiet hours): the highest rank counts, and each
    broadcast may send once.
    """
    finding = Finding(journal=journal.total())
    best: dict[Notice, int] = {}
    may_have: Counter[Notice] = Counter()
    for page in pages:
        if page.channel == UNREACHABLE:
            continue
        for i, rank in enumerate(effective(page)):
            if rank == ranks.SUPPRESSED and page.why.get(i) == MOVED:
                continue
            notice = (page.channel, page.to[i])
            finding.statuses[page.channel, ranks.status(rank)] += 1
            if not ranks.is_final(rank):
                finding.unfinished.append(notice)
            best[notice] = max(rank, best.get(notice, 0))
            may_have[notice] += (rank >= ranks.UNKNOWN) + (i in page.resent)
    finding.notices = len(best)
    for notice, rank in best.items():
        if rank >= ranks.ACCEPTED and not journal[notice]:
            finding.not_in_journal.append(notice)
        if ranks.SUPPRESSED <= rank <= ranks.REFUSED and journal[notice]:
            finding.wrongly_in_journal.append(notice)
    for notice, count in journal.items():
        if best.get(notice, 0) < ranks.UNKNOWN:
            finding.not_accounted.append(notice)
        elif count > may_have[notice]:
            finding.twice_without_mark.append(notice)
    return finding
