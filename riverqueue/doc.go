// Package riverqueue is the fprom.Queue for billing services that run as several replicas with a PostgreSQL behind
// them. Any replica delivers what any replica has stored, all replicas keep one rate limit, and River
// (https://riverqueue.com) does the work:
//
//	pool, err := pgxpool.New(ctx, databaseURL)
//	queue, err := riverqueue.New(pool, riverqueue.Config{})
//	err = queue.Migrate(ctx) // or run MigrationSQL with the tool of your choice
//	tracker, err := fprom.New(fprom.Config{Queue: queue})
//
// With EnqueueTx, or EnqueueSQLTx for database/sql, an event is stored in the transaction that marks the order as paid:
// both or neither. No middleware knows of it, so say who brought the customer: fprom.AttributionFrom(r).Apply(&sale).
//
// # What is promised
//
// The table fprom_ledger is the record: an accepted event is a row of it with body, state and outcome, whose key is the
// event id. Offered to two replicas at once it is one row, and it is remembered for 400 days. The same id with another
// amount is a conflict. Deliveries are at-least-once: after a crash an event may be sent twice, and its event id makes
// that one commission.
//
// A River job is only a wake-up: it has the key of an event and nothing else. It may be lost, doubled, retried, cancelled
// or deleted by hand. What is sent is what stands in the ledger; one delivery of an event is under way at a time; an event
// without a job gets a new one within a minute, or within Config.Rescue after its process died. So River's UI shows how
// busy the queue is, and the methods of fprom.Outbox (Entries, Redrive, Drop, …) show and change the events. Pausing the
// queue "fprom" in River stops the delivery of live events everywhere, "fprom_bulk" that of bulk ones; Stats and the log say
// so of the first.
//
// Events of one customer are delivered one at a time, in the order they were put (of transactions that overlap, in either
// order). A rejected event is a dead letter in the ledger. Bulk events come after all live ones, and leave so many of the
// account's calls unused that live ones go as if they were not there; one that a live event of its customer waits for
// becomes live itself.
//
// The rate limit is a token bucket in a row that all replicas share, 5 % below fprom.Config's RequestsPerMinute; a 429 or a
// refused key pauses all replicas through it. A call that was on its way then still arrives. While the database is away
// nothing is sent. Circuit breakers stay local.
//
// Between two attempts an event waits an hour at most, whatever fprom.RetryConfig says: a time that lies further ahead is from
// before the database's clock stepped back, and counts as past.
//
// Flush waits for the events of all replicas. The Tracker's Shutdown does not: what is open then is delivered by the
// others, or by the next process.
//
// # Connections and poolers
//
// A Queue that runs listens on one connection outside of the pool, and takes one from the pool for each statement, some
// milliseconds: 8 are plenty for 64 workers. Give it a pool of its own. From a pool that the application exhausts, events
// are delivered late; and a handler that holds a connection and calls Tracker.Enqueue needs a second one, for which it
// waits a second at most.
//
// A pooler in session mode is like none. In transaction mode, Migrate and everything else work, but for LISTEN: connect
// the pool of the processes that run a Tracker directly, or new events wait for the next poll, a second at most, and River
// reports that it cannot listen. A pooler that does not know prepared statements (PgBouncer before 1.21) needs
// default_query_exec_mode=exec in the pool's URL as well. Statement mode does not work: it allows no transactions.
//
// # Deploying
//
// Migrate first, then start the new release: each replica may call Migrate at its start, or a job before them. Programs of
// the older release run on, and may be restarted, unless the migration says that they cannot work with the new tables; then
// their errors wrap ErrSchema. Migration 2 is such a one: stop all replicas of version 1 first. It copies the ledger, about
// a minute for a million rows. Where the schema is current, Migrate needs no right to create anything: SELECT, INSERT,
// UPDATE and DELETE on the tables and USAGE on the sequences do.
//
// The schema must be the package's own (Config.Schema): the leader of another River in it would discard jobs that it does
// not know. The clocks of the replicas should agree to a second: River compares them with the database's.
//
// # Personal data
//
// An event that waits or is a dead letter has the customer's e-mail address or uid in its row: it is needed to deliver it.
// With the outcome they are erased; a key that has an address in it, that of a sign-up or a cancellation, is kept as a hash
// (fprom.SafeKey) from the start. Jobs have no address. Queue.Forget erases a customer from the dead letters, which then
// cannot be sent again, and from what waits as soon as it has its outcome. Backups and PostgreSQL's own log are yours.
package riverqueue
