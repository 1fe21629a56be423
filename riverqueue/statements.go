package riverqueue

import "strings"

// statements are the queries of this package, with the schema in place.
type statements struct {
	insert, known, revive, refuse  string
	lock, start, look, park        string
	settle, promote, fail, recover string
	slots, paused, pause           string
	probed, unprobed               string
	beat, leave, forget, takeOver  string
	open, lost, prune              string
	mark, pending                  string
	count, countOpen, countDead    string
	oldest, dead, redrive, unpark  string
	version                        string
}

// lane is true in $schema.fprom_ledger l where l must wait for another event of its customer. The advisory lock on the
// customer is held, so that no other may start or end meanwhile.
const lane = `l.customer <> '' AND (
	EXISTS (SELECT 1 FROM $schema.fprom_ledger o WHERE o.customer = l.customer AND o.state = 'head' AND o.customer <> '' AND o.key <> l.key)
	OR EXISTS (SELECT 1 FROM $schema.fprom_ledger o WHERE o.customer = l.customer AND o.settled_at IS NULL AND o.seq < l.seq))`

func newStatements(schema string) statements {
	s := func(sql string) string { return strings.ReplaceAll(sql, "$schema", schema) }
	return statements{
		insert: s(`INSERT INTO $schema.fprom_ledger (key, kind, customer, digest, recorded_at)
			SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[]) ON CONFLICT (key) DO NOTHING RETURNING key`),
		known: s(`SELECT key, digest, state FROM $schema.fprom_ledger WHERE key = ANY($1)`),
		revive: s(`UPDATE $schema.fprom_ledger SET state = 'queued', settled_at = NULL, attempts = 0, reason = NULL, body = NULL, conflicts = NULL,
			seq = nextval(pg_get_serial_sequence('$schema.fprom_ledger', 'seq')), digest = $2, customer = $3, recorded_at = $4
			WHERE key = $1 AND state = 'dead'`),
		refuse: s(`UPDATE $schema.fprom_ledger SET conflicts = CASE WHEN cardinality(conflicts) >= 64 THEN conflicts ELSE array_append(conflicts, $2) END
			WHERE key = $1 AND digest <> $2 AND coalesce($2 <> ALL(conflicts), true)`),

		lock:   `SELECT pg_advisory_xact_lock(hashtextextended($1, 7306040937))`,
		start:  s(`UPDATE $schema.fprom_ledger l SET state = 'head' WHERE key = $1 AND state = 'queued' AND NOT (` + lane + `)`),
		look:   s(`SELECT state, attempts FROM $schema.fprom_ledger WHERE key = $1`),
		park:   s(`UPDATE $schema.fprom_ledger SET state = 'parked', body = $2 WHERE key = $1 AND state = 'queued'`),
		settle: s(`UPDATE $schema.fprom_ledger SET state = $2, settled_at = now(), reason = $3, body = $4 WHERE key = $1 AND settled_at IS NULL`),
		promote: s(`UPDATE $schema.fprom_ledger SET state = 'queued'
			WHERE key = (SELECT key FROM $schema.fprom_ledger WHERE customer = $1 AND settled_at IS NULL ORDER BY seq LIMIT 1) AND state = 'parked'
			AND NOT EXISTS (SELECT 1 FROM $schema.fprom_ledger WHERE customer = $1 AND state = 'head' AND customer <> '')
			RETURNING key, kind, customer, body, recorded_at`),
		fail:    s(`UPDATE $schema.fprom_ledger SET attempts = attempts + 1, reason = $2 WHERE key = $1 AND settled_at IS NULL`),
		recover: s(`UPDATE $schema.fprom_ledger SET state = 'queued', settled_at = NULL, attempts = 0 WHERE key = $1 AND state = 'dead'`),

		slots: s(`UPDATE $schema.fprom_account SET
				next_slot = greatest(next_slot, clock_timestamp()) + make_interval(secs => $1::float8 * CASE WHEN probing THEN 1 ELSE $2::int END),
				probe_until = CASE WHEN probing THEN clock_timestamp() + make_interval(secs => $3::float8) ELSE probe_until END
			WHERE paused_until <= clock_timestamp() AND (NOT probing OR probe_until <= clock_timestamp())
			RETURNING extract(epoch FROM next_slot - make_interval(secs => $1::float8 * CASE WHEN probing THEN 1 ELSE $2::int END) - clock_timestamp())::float8, probing`),
		paused: s(`SELECT extract(epoch FROM greatest(paused_until, CASE WHEN probing THEN probe_until ELSE paused_until END, clock_timestamp()) - clock_timestamp())::float8
			FROM $schema.fprom_account`),
		pause: s(`UPDATE $schema.fprom_account SET paused_until = greatest(paused_until, clock_timestamp() + make_interval(secs => $1::float8)),
			pause_reason = $2, probing = true, probe_until = '-infinity'`),
		probed:   s(`UPDATE $schema.fprom_account SET probing = false, pause_reason = '' WHERE probing AND paused_until <= clock_timestamp()`),
		unprobed: s(`UPDATE $schema.fprom_account SET probe_until = '-infinity' WHERE probing`),

		beat:   s(`INSERT INTO $schema.fprom_replica (id, seen_at) VALUES ($1, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp()`),
		leave:  s(`DELETE FROM $schema.fprom_replica WHERE id = $1`),
		forget: s(`DELETE FROM $schema.fprom_replica WHERE seen_at < now() - interval '1 day'`),
		takeOver: s(`DELETE FROM $schema.river_job WHERE id IN (
				SELECT j.id FROM $schema.river_job j
				WHERE j.state = 'running' AND j.queue = $1 AND j.attempted_at < clock_timestamp() - make_interval(secs => $2::float8) AND j.id <> ALL($3::bigint[])
				AND (j.attempted_by[array_upper(j.attempted_by, 1)] = $4 OR NOT EXISTS (
					SELECT 1 FROM $schema.fprom_replica r WHERE r.id = j.attempted_by[array_upper(j.attempted_by, 1)]
					AND r.seen_at > clock_timestamp() - make_interval(secs => $2::float8)))
				ORDER BY j.id LIMIT 1000 FOR UPDATE SKIP LOCKED)
			RETURNING args`),
		open: s(`SELECT key FROM $schema.fprom_ledger WHERE key = ANY($1) AND state IN ('queued', 'head')`),
		lost: s(`SELECT * FROM (SELECT DISTINCT ON (l.key) j.args, j.state::text FROM $schema.river_job j JOIN $schema.fprom_ledger l ON l.key = j.args->>'key'
				WHERE j.state IN ('cancelled', 'discarded') AND j.finalized_at > now() - interval '1 day' AND j.kind = $1 AND l.state IN ('queued', 'head')
				AND NOT EXISTS (SELECT 1 FROM $schema.river_job k WHERE k.args @> jsonb_build_object('key', l.key) AND k.finalized_at IS NULL)
				ORDER BY l.key, j.id DESC LIMIT 100) ended
			UNION ALL SELECT jsonb_build_object('key', o.key, 'kind', o.kind, 'customer', o.customer, 'recorded_at', o.recorded_at), 'deleted'
				FROM (SELECT * FROM $schema.fprom_ledger WHERE settled_at IS NULL AND recorded_at < now() - interval '10 minutes' ORDER BY seq LIMIT 100) o
				WHERE o.state <> 'parked' AND NOT EXISTS (
					SELECT 1 FROM $schema.river_job j WHERE j.args @> jsonb_build_object('key', o.key) AND j.state <> 'completed')`),
		prune: s(`DELETE FROM $schema.fprom_ledger WHERE ctid = ANY (ARRAY(
			SELECT ctid FROM $schema.fprom_ledger WHERE settled_at < now() - make_interval(secs => $1::float8) AND state = 'done' LIMIT 1000))`),

		mark:      s(`SELECT coalesce(max(seq), 0) FROM $schema.fprom_ledger WHERE settled_at IS NULL`),
		pending:   s(`SELECT EXISTS (SELECT 1 FROM $schema.fprom_ledger WHERE settled_at IS NULL AND seq <= $1)`),
		count:     s(`SELECT count(*) FROM (SELECT 1 FROM $schema.fprom_ledger WHERE state = 'done' LIMIT $1) s`),
		countOpen: s(`SELECT count(*) FROM (SELECT 1 FROM $schema.fprom_ledger WHERE settled_at IS NULL LIMIT $1) s`),
		countDead: s(`SELECT count(*) FROM (SELECT 1 FROM $schema.fprom_ledger WHERE state = 'dead' LIMIT $1) s`),
		oldest:    s(`SELECT recorded_at FROM $schema.fprom_ledger WHERE settled_at IS NULL ORDER BY seq LIMIT 1`),
		dead: s(`SELECT key, kind, customer, coalesce(body, ''), recorded_at, attempts, settled_at, coalesce(reason, '')
			FROM $schema.fprom_ledger WHERE state = 'dead' AND seq > $1 ORDER BY seq LIMIT $2`),
		redrive: s(`UPDATE $schema.fprom_ledger SET state = 'parked', settled_at = NULL, attempts = 0 WHERE key = $1 AND state = 'dead' AND body IS NOT NULL
			RETURNING key, kind, customer, body, recorded_at`),
		unpark:  s(`UPDATE $schema.fprom_ledger SET state = 'queued' WHERE key = $1 AND state = 'parked'`),
		version: s(`SELECT coalesce(max(version), 0) FROM $schema.fprom_migration`),
	}
}
