"""The engine that gets a broadcast to millions, and can prove it. One page.

**The problem.** Ten million people are to be warned over three channels. Providers are slow, lose answers, refuse,
throttle. Workers die, databases fail over, the queue is wiped. Nobody may be forgotten, nobody may be warned by
mistake, and afterwards the ledger has to say what is true.

**The ledger.** MongoDB is the truth. Not a row per person: a *page* holds up to 500 recipients of one broadcast on
one channel, their ids packed in eight bytes each, and one rank per recipient. Ranks are one total order in which a
status can only rise (`server.domain.ranks`), so outcomes and receipts are `$max`: late, doubled and reordered ones
need no special case. Nothing is incremented; a range's sums are recomputed from its pages.

**From release to pages.** A release writes one document and returns. Citizen ids are 63 random bits, so a broadcast
is cut into equal intervals of ids, its *ranges*. Workers claim ranges and stream the members in id order into pages;
the first page is sent while the rest is being planned. After a crash the next planner goes on behind the last id it
finds (`planner`).

**From pages to people.** Page ids travel through Redis lists, one per lane and channel, highest lane first; red and
orange have readers, slots, rate and connections of their own. A pop is a hint: the lease in MongoDB decides, by
compare-and-set and by the database's clock. The holder works in *windows* (`sender`): write the intent, fenced by the
lease; hand over; write the outcomes together with the next intent. If the fence does not match, somebody has taken
over: nothing more is sent. A window starts only if the lease outlives the provider's deadline by a clock read before
it was renewed.

**In doubt.** An intent without an outcome may have arrived. Whoever takes the page over writes `unknown` first. Red
and orange are sent once more, after `resent` is written: two warnings are better than none. The rest stays `unknown`
until a receipt says more.

**Whatever is lost is found.** The `reconciler` is the only redelivery. Every second for red and orange, every five
for the rest, it puts back what MongoDB calls unfinished, due and not leased. A worker that was killed costs a lease,
a FLUSHALL costs a second.

**Stopping.** Cancel is a state of the broadcast. Workers poll it four times a second and read it again after each
lease; what has not left half a second after its window began is not sent. What nobody has touched is closed in the
database at once. The all-clear for a range is planned when none of its old pages is held by anybody, for everybody
who may have got something, by the channel that reached them.

**One after the other.** Yellow and below climb a `ladder`, rung by rung in the person's own order of channels: a
follow-up page per page, its id derived from its parent, takes those whom a channel refused or who switched it off, and
later those of whom no receipt came. Quiet hours move people to a page of a later time.

**One thing, one person.** A personal notice waits in the outbox, put there in the transaction of its cause. `outbox`
fills a standing broadcast per template and day with what is due; a batch is written down before it claims anything, so
whoever finishes it makes the same pages. A page knows what each notice is about; the words are made when it is sent.

**Pace.** A token bucket per provider account in Redis, with a floor that bulk may not touch; a breaker for auth,
arrears and outage; a quota pauses its account until the reset; SMS goes on with the second provider (`pace`).

**Forgetting.** Thirty days after its release a broadcast's sums are sealed and its pages deleted (`retention`).

**Proof.** `judge` compares the ledger with the journal that the sandbox providers fsync before they answer. The tests
do that while workers, mongod and Valkey are killed in mid-broadcast.
"""
