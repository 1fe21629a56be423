-- The ledger becomes the record of an event: body, state, generation, outcome. A River job has only the key.
-- Stop every replica of version 1 first: it cannot work with these tables.
ALTER TABLE $schema.fprom_migration ADD COLUMN min_version integer NOT NULL DEFAULT 2; -- programs that know only older versions must not run

CREATE SEQUENCE $schema.fprom_seq;
SELECT setval('$schema.fprom_seq', (SELECT coalesce(max(seq), 0) + 1 FROM $schema.fprom_ledger));
ALTER TABLE $schema.fprom_ledger RENAME TO fprom_ledger_1;

CREATE TABLE $schema.fprom_ledger (
	account_id     integer NOT NULL DEFAULT 1,
	key            text NOT NULL,                            -- a key with an e-mail address in it is hashed
	clear_key      text,                                     -- the key in clear where it is hashed, until the event is done
	seq            bigint NOT NULL,                          -- the order in which events were put
	kind           text NOT NULL,
	customer       text NOT NULL,                            -- empty when the event is done
	body           text,                                     -- what is posted; null when the event is done
	amount         bigint NOT NULL DEFAULT 0,
	currency       text NOT NULL DEFAULT '',
	digest         bigint NOT NULL,                          -- of amount and currency: tells a redelivery from a conflict
	bulk           boolean NOT NULL DEFAULT false,           -- delivered after all live events
	recorded_at    timestamptz NOT NULL,
	state          text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'dead')),
	generation     integer NOT NULL DEFAULT 0,               -- raised by each claim, redrive and new put; an outcome counts only for the newest
	attempts       integer NOT NULL DEFAULT 0,               -- deliveries that count
	claimed_until  timestamptz NOT NULL DEFAULT '-infinity', -- the latest end of the delivery under way
	next_attempt   timestamptz NOT NULL DEFAULT '-infinity',
	aside          boolean NOT NULL DEFAULT false,           -- set aside: later events of the customer may pass
	forget         boolean NOT NULL DEFAULT false,           -- erase customer and body with any outcome, also of a dead letter
	settled_at     timestamptz,
	outcome        text NOT NULL DEFAULT '',
	reason         text NOT NULL DEFAULT '',                 -- of the last failure
	status_code    integer NOT NULL DEFAULT 0,               -- of the last answer
	promoter_event bigint NOT NULL DEFAULT 0,                -- FirstPromoter's id of the event
	commissions    bigint[],                                 -- FirstPromoter's ids of the commissions
	CONSTRAINT fprom_ledger_settled CHECK ((settled_at IS NULL) = (state = 'waiting'))
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
	autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);

INSERT INTO $schema.fprom_ledger (key, clear_key, seq, kind, customer, body, amount, currency, digest, recorded_at, state, attempts, settled_at, reason)
SELECT n.key, CASE WHEN n.state <> 'done' AND n.key <> o.key THEN o.key END, o.seq, o.kind,
	CASE WHEN n.state = 'done' THEN '' ELSE o.customer END, CASE WHEN n.state <> 'done' THEN n.body END,
	coalesce((n.body::jsonb->>'amount')::bigint, 0), coalesce(n.body::jsonb->>'currency', ''),
	o.digest, o.recorded_at, n.state, o.attempts, CASE WHEN n.state <> 'waiting' THEN coalesce(o.settled_at, now()) END,
	CASE WHEN n.state = 'dead' AND n.body IS NULL THEN 'its job, and with it its body, was deleted' WHEN n.state = 'done' THEN '' ELSE coalesce(o.reason, '') END
FROM $schema.fprom_ledger_1 o
LEFT JOIN LATERAL (SELECT j.args->>'body' AS body FROM $schema.river_job j
	WHERE o.body IS NULL AND j.kind = 'fprom_event' AND j.args @> jsonb_build_object('key', o.key)
	AND (o.state = 'done' OR j.state NOT IN ('cancelled', 'discarded', 'completed'))
	AND (o.state <> 'done' OR o.settled_at > now() - interval '2 days') -- River keeps jobs for a day
	ORDER BY j.id DESC LIMIT 1) j ON true
CROSS JOIN LATERAL (SELECT coalesce(o.body, j.body) AS body,
	CASE WHEN o.state IN ('done', 'dead') THEN o.state WHEN coalesce(o.body, j.body) IS NULL THEN 'dead' ELSE 'waiting' END AS state,
	CASE WHEN strpos(substr(o.key, strpos(o.key, ':') + 1), '@') = 0 THEN o.key
		ELSE split_part(o.key, ':', 1) || ':sha256-' || encode(substring(sha256(convert_to(substr(o.key, strpos(o.key, ':') + 1), 'UTF8')) FOR 16), 'hex') END AS key) n;

-- Pairs of an event id and another amount that were refused.
CREATE TABLE $schema.fprom_conflict (
	account_id integer NOT NULL DEFAULT 1,
	key        text NOT NULL,
	digest     bigint NOT NULL,
	refused_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (account_id, key, digest)
);
INSERT INTO $schema.fprom_conflict (key, digest)
SELECT n.key, unnest(o.conflicts) FROM $schema.fprom_ledger_1 o JOIN $schema.fprom_ledger n USING (seq) ON CONFLICT DO NOTHING;
DROP TABLE $schema.fprom_ledger_1;

-- An index that any row of the account could be in does not begin with account_id. If it did, PostgreSQL could choose it to find a key or a
-- customer while the table is empty, and keep that plan.
ALTER TABLE $schema.fprom_ledger ADD PRIMARY KEY (key, account_id);
CREATE UNIQUE INDEX fprom_ledger_seq ON $schema.fprom_ledger (seq, account_id);
CREATE INDEX fprom_ledger_live ON $schema.fprom_ledger (account_id, seq) WHERE state = 'waiting' AND NOT bulk;
CREATE INDEX fprom_ledger_bulk ON $schema.fprom_ledger (account_id, seq) WHERE state = 'waiting' AND bulk;
CREATE INDEX fprom_ledger_lane ON $schema.fprom_ledger (account_id, customer, seq) WHERE state = 'waiting' AND customer <> '';
CREATE INDEX fprom_ledger_dead ON $schema.fprom_ledger (account_id, seq) WHERE state = 'dead';
CREATE INDEX fprom_ledger_settled ON $schema.fprom_ledger (account_id, settled_at) WHERE state <> 'waiting';
CREATE INDEX fprom_ledger_recorded ON $schema.fprom_ledger (recorded_at, account_id);
-- Of no use to a statement without "next_attempt < 'infinity'". Otherwise PostgreSQL could choose it in place of fprom_ledger_live, and sort.
CREATE INDEX fprom_ledger_due ON $schema.fprom_ledger (account_id, next_attempt) WHERE state = 'waiting' AND NOT bulk AND next_attempt < 'infinity';

-- Jobs lose customer and body.
UPDATE $schema.river_job j SET args = jsonb_build_object('key', CASE WHEN strpos(substr(j.args->>'key', strpos(j.args->>'key', ':') + 1), '@') = 0 THEN j.args->>'key'
	ELSE split_part(j.args->>'key', ':', 1) || ':sha256-' || encode(substring(sha256(convert_to(substr(j.args->>'key', strpos(j.args->>'key', ':') + 1), 'UTF8')) FOR 16), 'hex') END)
WHERE j.kind = 'fprom_event';

-- One FirstPromoter account, shared by all replicas: its rate limit and its pause.
ALTER TABLE $schema.fprom_account RENAME TO fprom_account_1;
CREATE TABLE $schema.fprom_account (
	account_id          integer PRIMARY KEY,
	requests_per_minute integer NOT NULL DEFAULT 0,                -- 0: no replica has said it yet
	next_slot           timestamptz NOT NULL DEFAULT '-infinity',  -- no call before this time
	paused_until        timestamptz NOT NULL DEFAULT '-infinity',
	pause_reason        text NOT NULL DEFAULT '',
	calls               bigint[] NOT NULL DEFAULT '{}'             -- one number for each second of a minute: the second, times a million, plus the calls in it
);
INSERT INTO $schema.fprom_account (account_id, next_slot, paused_until, pause_reason)
SELECT 1, next_slot, paused_until, pause_reason FROM $schema.fprom_account_1;
DROP TABLE $schema.fprom_account_1;
DROP TABLE $schema.fprom_replica;

INSERT INTO $schema.fprom_migration (version, min_version) VALUES (2, 2);
