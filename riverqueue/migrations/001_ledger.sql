-- What was accepted and what became of it. A row is open while settled_at is null.
CREATE TABLE $schema.fprom_ledger (
	key         text PRIMARY KEY,
	seq         bigserial NOT NULL,              -- the order in which events were put
	digest      bigint NOT NULL,                 -- of amount and currency: tells a redelivery from a conflict
	recorded_at timestamptz NOT NULL,
	settled_at  timestamptz,
	attempts    integer NOT NULL DEFAULT 0,      -- failed deliveries
	kind        text NOT NULL,
	customer    text NOT NULL,
	-- queued: has a River job that did not start yet. head: the one of its customer that is being delivered or retried.
	-- parked: waits for an earlier event of its customer, has no job. done, dead: has its outcome.
	state       text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'head', 'parked', 'done', 'dead')),
	body        text,                            -- only if no job has it: parked, dead
	reason      text,                            -- of the last failure
	conflicts   bigint[],                        -- digests that were refused and reported
	CONSTRAINT fprom_ledger_settled CHECK ((settled_at IS NULL) = (state IN ('queued', 'head', 'parked')))
);

CREATE INDEX fprom_ledger_open ON $schema.fprom_ledger (seq) WHERE settled_at IS NULL;
CREATE INDEX fprom_ledger_lane ON $schema.fprom_ledger (customer, seq) WHERE settled_at IS NULL;
CREATE UNIQUE INDEX fprom_ledger_head ON $schema.fprom_ledger (customer) WHERE state = 'head' AND customer <> '';
CREATE INDEX fprom_ledger_dead ON $schema.fprom_ledger (seq) WHERE state = 'dead';
CREATE INDEX fprom_ledger_settled_at ON $schema.fprom_ledger (settled_at) WHERE state = 'done';

-- The one FirstPromoter account that all replicas share: its rate limit and its pause.
CREATE TABLE $schema.fprom_account (
	id           smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
	next_slot    timestamptz NOT NULL DEFAULT '-infinity', -- no call before this time
	paused_until timestamptz NOT NULL DEFAULT '-infinity',
	pause_reason text NOT NULL DEFAULT '',
	probing      boolean NOT NULL DEFAULT false,           -- true after a pause, until a call succeeds
	probe_until  timestamptz NOT NULL DEFAULT '-infinity'  -- the latest end of the probe under way
);
INSERT INTO $schema.fprom_account DEFAULT VALUES;

-- The replicas that are alive. The others take over the events of a replica that is silent.
CREATE UNLOGGED TABLE $schema.fprom_replica (
	id      text PRIMARY KEY,
	seen_at timestamptz NOT NULL
);

INSERT INTO $schema.fprom_migration (version) VALUES (1);
