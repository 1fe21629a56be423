// Package riverqueue is the fprom.Queue for billing services that run as several replicas with a PostgreSQL behind
// them. Any replica delivers what any replica has stored, all replicas keep one rate limit, and River
// (https://riverqueue.com) does the work:
//
//	pool, err := pgxpool.New(ctx, databaseURL)
//	queue, err := riverqueue.New(pool, riverqueue.Config{})
//	err = queue.Migrate(ctx) // makes the tables; see Deploying
//	tracker, err := fprom.New(fprom.Config{Queue: queue})
//
// Queue.EnqueueTx, or Queue.EnqueueSQLTx for database/sql, stores an event in the transaction that marks the order as paid: both are
// committed, or neither is. No middleware fills in who brought the customer then: call fprom.AttributionFrom(r).Apply(&sale).
//
// # What is promised
//
// The table fprom_ledger is the record. An accepted event is a row of it, with body, state and outcome; its key is the event
// id. If two replicas accept the same event at once, it is one row. The row is kept for 400 days. The same id with another
// amount is a conflict. Deliveries are at-least-once: after a crash an event may be sent twice, and its event id makes
// that one commission.
//
// A River job is only a wake-up: it has the key of an event and nothing else. If a job is lost, doubled, retried, cancelled
// or deleted, no event is. What is sent is what the ledger has, and an event is sent by one worker at a time. An event without a job gets a new
// one within a minute, or within Config.Rescue after its process died. So River's UI shows how busy the queue is; the
// methods of fprom.Outbox (Entries, Redrive, Drop, …) show and change the events. If you pause the queue "fprom" in River,
// live events wait on all replicas, and Stats and the log say so. If you pause "fprom_bulk", bulk events wait.
//
// Events of one customer are delivered one at a time, in the order in which they were put (if transactions overlap, in either
// order). A rejected event is a dead letter in the ledger. Bulk events come after all live ones, and leave so many calls
// unused that they do not delay live ones. If a live event waits for a bulk event of its customer, that one becomes live.
//
// The rate limit is a token bucket in a row that all replicas share, 5 % below fprom.Config's RequestsPerMinute; a 429 or a
// refused key pauses all replicas through it; calls under way still arrive. While the database does not answer, nothing
// is sent. Each process has its own circuit breaker.
//
// Between two attempts an event waits an hour at most, whatever fprom.RetryConfig says. A later time is taken for one from
// before the database's clock was set back, and counts as past.
//
// Flush waits for the events of all replicas. The Tracker's Shutdown does not: the other replicas, or the next process,
// deliver what still waits.
//
// # Connections and poolers
//
// A Queue that runs listens on one connection outside of the pool. For each statement it takes one from the pool, for some
// milliseconds: 8 are plenty for 64 workers. Give it a pool of its own. If the application exhausts the pool, events are
// delivered late. A handler that holds a connection and calls Tracker.Enqueue needs a second one; it waits a second for it
// at most.
//
// A pooler in session mode makes no difference. In transaction mode everything works except LISTEN: new events then wait for
// the next poll, a second at most, and River reports that it cannot listen. To avoid that, connect the processes that run a
// Tracker directly. A pooler that does not know prepared statements (PgBouncer before 1.21) also needs
// default_query_exec_mode=exec in the pool's URL. Statement mode does not work: it allows no transactions.
//
// # Deploying
//
// Migrate first, then start the new release. Each replica may call Migrate at its start, or a job does it before. Programs of
// the older release go on and may be restarted, unless they cannot work with the new tables; then their errors wrap
// ErrSchema. That is so for migration 2: stop all replicas of version 1 first. It copies the ledger, about a minute for a
// million rows. If the schema is current, Migrate creates nothing: SELECT, INSERT, UPDATE and DELETE on the tables and USAGE
// on the sequences are enough. docs/replicas.md says how to make the tables with a migration tool.
//
// The schema must be the package's own (Config.Schema): the leader of another River in it would discard jobs that it does
// not know. The clocks of the replicas should agree to a second: River compares them with the database's.
//
// # Personal data
//
// The row of an event that waits or is a dead letter has the customer's e-mail address or uid, since FirstPromoter needs it.
// With the outcome it is erased. A key with an address in it, that of a sign-up or a cancellation, is stored as a hash
// (fprom.SafeKey). Jobs have no address. Queue.Forget erases a customer from dead letters, which then cannot be sent again,
// and from what waits as soon as it has its outcome. Erase backups and PostgreSQL's own log yourself.
package riverqueue
