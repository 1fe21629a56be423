// Package riverqueue is the fprom.Queue for billing services that run as several replicas with a PostgreSQL behind
// them. Events are jobs of River (https://riverqueue.com) that any replica delivers, and all replicas keep one rate
// limit:
//
//	pool, err := pgxpool.New(ctx, databaseURL)
//	queue, err := riverqueue.New(pool, riverqueue.Config{})
//	err = queue.Migrate(ctx) // or run MigrationSQL with the tool of your choice
//	tracker, err := fprom.New(fprom.Config{Queue: queue})
//
// With EnqueueTx an event is stored in the transaction that marks the order as paid: both or neither.
//
// # What is promised
//
// An accepted event is a row of the table fprom_ledger, whose key is the event id: offered to two replicas at once it
// is one job, and it is remembered for 400 days, while River forgets a job after one. The same id with another amount
// is a conflict. Deliveries are at-least-once: after a crash an event may be sent twice, and its event id makes that
// one commission.
//
// Events of one customer are delivered one at a time, in the order they were put (of transactions that overlap, in
// either order). A job whose customer has an earlier event open is completed, its event is parked in the ledger, and
// the end of the earlier one makes a new job of it.
//
// A failed delivery is a snooze of River's and counts in the ledger; a pause of the account, a stop or a crash count
// no attempt. A rejected event is a cancelled job with the reason, visible in River's UI and CLI, and a dead letter
// here (DeadLetters), which River does not clean away. Redrive, River's retry, or a corrected event under the same id
// bring it back. Cancel jobs by hand rather than delete them: a deleted job takes the event's body along.
//
// Each replica says every few seconds that it lives. What one that is silent for Config.Lease had in hand is taken over
// by the others. The rate limit is a row that gives every call of every replica a time of its own; a 429 or a refused
// key pauses all replicas through it, and afterwards one call at a time tries whether the account works. A call that was
// on its way then still arrives. While the database is away nothing is sent. Circuit breakers stay local.
//
// # What it needs
//
// A PostgreSQL that River supports, reached without a pooler in statement mode. The clocks of the replicas should agree
// to a second: River compares them with the database's. The schema must be the package's own (Config.Schema): the
// leader of another River in it would discard jobs that it does not know.
//
// Flush waits for the events of all replicas. The Tracker's Shutdown does not: what is open then is delivered by the
// others, or by the next process.
package riverqueue
