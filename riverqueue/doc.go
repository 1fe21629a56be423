// Package riverqueue is the fprom.Queue for billing services that run as several replicas with a PostgreSQL behind
// them. Any replica delivers the events of all replicas, and all replicas share one rate limit. It builds on River
// (https://riverqueue.com):
//
//	pool, err := pgxpool.New(ctx, databaseURL)
//	queue, err := riverqueue.New(pool, riverqueue.Config{})
//	err = queue.Migrate(ctx) // makes the tables; see Deploying
//	tracker, err := fprom.New(fprom.Config{Queue: queue})
//
// Queue.EnqueueTx, or Queue.EnqueueSQLTx for database/sql, stores an event in the transaction that marks the order as paid:
// both are committed, or neither is.
//
// # Guarantees
//
// The table fprom_ledger is the record. Each accepted event is one row with body, state and outcome. The event id is its key:
// if two replicas accept the same event, there is one row. The same id with another amount is a conflict. A row is kept for
// 400 days after the delivery. Deliveries are at-least-once: after a crash an event may be sent twice, and its event id makes
// that one commission.
//
// A River job is only a wake-up. It contains the key of an event and nothing else. Jobs may be lost, doubled, retried,
// cancelled or deleted: no event is lost, and the body always comes from the ledger. One worker at a time sends an event,
// unless the clock of the database steps meanwhile. An event without a job gets a new one within a minute, or after
// Config.Rescue if its process died. So River's UI shows how busy the queue is; the methods of fprom.Outbox show and change
// the events. While "fprom" is paused in River, live events wait, while "fprom_bulk" is, bulk ones; Stats and the log say so.
//
// Events of one customer are delivered one at a time, in the order in which they were put. If transactions overlap, their
// order is open. Each delivery reads the waiting events of its customer: tens of thousands make it slow. An event that is
// rejected or given up is a dead letter in the ledger. Bulk events come after all live ones; one that a worker has begun still
// leaves all calls to live ones, for at most 5 s. If a live event waits for a bulk event of its customer, that one becomes live.
//
// The rate limit is a token bucket in a row that all replicas share, 8 % below fprom.Config's RequestsPerMinute. A 429, a 401, or
// a pause after answers of 503 with Retry-After holds for all replicas through this row; calls under way still arrive. A pause after
// three other refusals, such as 403, is each process's own, and so is its circuit breaker. While the database does not answer,
// nothing is sent.
//
// An event waits at most an hour for its next attempt, whatever fprom.RetryConfig says. If a stored time is further ahead, the
// database's clock was set back since: such a time counts as past. The rules of the ledger are functions and views of the schema
// (migrations/002_rules.sql), so that programs of several releases agree.
//
// Flush waits for the events of all replicas. The Tracker's Shutdown does not: the other replicas, or the next process,
// deliver the rest.
//
// # Connections and poolers
//
// Each statement takes a connection from the pool for some milliseconds: 8 are plenty for 64 workers. Give the Queue a pool of its
// own. If the application exhausts a shared pool, events are delivered late. A handler that holds a connection and calls
// Tracker.Enqueue needs a second one, and waits at most a second for it. With pool_ping_timeout=100ms in the pool's URL, each
// idle connection to a host that has failed costs an event 100 ms of this second, not all of it. After the server has ended a
// connection, is silent, or has become a standby, the Queue closes all connections of the pool (pgxpool.Pool.Reset).
//
// A running Queue looks for new events 25 times a second, which a log of all statements shows. It needs no LISTEN, so a pooler in
// session or transaction mode makes no difference. One that does not know prepared statements (PgBouncer before 1.24, unless
// max_prepared_statements is set) also needs default_query_exec_mode=cache_describe in the pool's URL. Statement mode does not work:
// it allows no transactions. The database's encoding should be UTF8: another one refuses events with characters that it lacks.
//
// # Deploying
//
// Migrate first, then start the new release. Each replica may call Migrate when it starts, or a job calls it before.
// Programs of the older release go on, and may restart, unless they cannot work with the new tables: then their errors wrap
// ErrSchema. Migration 2 is of that kind: stop all replicas of version 1 first. It copies the ledger, about a minute for a
// million rows. If the schema is current, Migrate creates nothing: USAGE on the schema and its sequences, SELECT, INSERT, UPDATE
// and DELETE on the tables and SELECT on the views are enough, and EXECUTE on the functions if you revoked it from PUBLIC. A
// program that only calls EnqueueTx needs USAGE on the schema, fprom_seq and river_job_id_seq, SELECT on fprom_migration, SELECT,
// INSERT and UPDATE on fprom_ledger, and INSERT on fprom_conflict and river_job. docs/replicas.md says how to make the tables
// with a migration tool.
//
// River rebuilds its indexes each night, which only the owner of its tables may do. If the program has another role, an index
// grows with each event: let the owner run REINDEX TABLE CONCURRENTLY on river_job each month. If a rebuild was cut off, as by a
// statement_timeout, River leaves that index out and says so each night: drop the one whose name ends in _ccnew.
//
// The clocks of the replicas should agree to a second: River compares them with the database's.
//
// # Personal data
//
// The row of an event that waits or is a dead letter has the customer's e-mail address or uid, since FirstPromoter needs it.
// Both are erased when the event is done. A key with an address in it, that of a sign-up or a cancellation, is stored as a
// hash (fprom.SafeKey). Jobs contain no address. Queue.Forget erases a customer from dead letters at once, which then cannot
// be sent again, and from waiting events with their outcome. Backups and PostgreSQL's own log are yours to erase.
package riverqueue
