package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom/riverqueue"
)

const databaseClock = 2 * time.Second // River compares the replicas' clocks with the database's

// askDatabase looks at riverqueue's database without changing it.
func (d *doctor) askDatabase(ctx context.Context, where string) error {
	cfg, schema, err := databaseConfig(where)
	if err != nil {
		return err
	}
	if schema == "" {
		schema = riverqueue.DefaultSchema
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	before := time.Now()
	conn, err := pgx.ConnectConfig(ctx, cfg.ConnConfig)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var readOnly bool
	var exists, may *bool
	var now time.Time
	table := pgx.Identifier{schema, "fprom_ledger"}.Sanitize()
	err = conn.QueryRow(ctx, `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on', to_regclass($1) IS NOT NULL,
		has_table_privilege(to_regclass($1), 'INSERT') AND has_table_privilege(to_regclass($1), 'UPDATE'), clock_timestamp()`, table).Scan(&readOnly, &exists, &may, &now)
	switch {
	case err != nil:
		return err
	case readOnly:
		return errReplica
	case exists == nil || !*exists:
		return riverqueue.ErrSchema
	case may == nil || !*may:
		d.warn("outbox", "if it is the service's user, grant it the rights that riverqueue's package documentation lists", "%s: this user may not store and change events: with it no service works", shown(where))
	}
	if off := max(before.Sub(now), time.Until(now)); off > databaseClock {
		d.warn("outbox", "set both clocks by NTP: events may be taken over or tried again too early", "the database's clock and this machine's differ by %s", span(off))
	}
	return nil
}
