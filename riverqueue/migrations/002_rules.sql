-- What the programs do to the ledger and to the account, they do by these functions, so that each rule stands once and programs of
-- several releases agree. A later version may replace what a function does, but not its arguments and results, unless programs of
-- older releases must stop (min_version).
--
-- PostgreSQL keeps the plans of a function for as long as a connection lasts. After a VACUUM or ANALYZE of an empty ledger it would plan
-- to read all rows for each event, and go on so as the ledger grows. So the functions that do this work set enable_seqscan off.

-- True for a time that lies ahead. One that lies further ahead than any that is stored dates from before the clock of the database
-- stepped back. It counts as past.
CREATE FUNCTION $schema.fprom_ahead(t timestamptz, most interval DEFAULT '61 minutes') RETURNS boolean LANGUAGE sql VOLATILE AS $$
	SELECT t BETWEEN clock_timestamp() AND clock_timestamp() + most
$$;

-- The events that wait. As a union of two ordered parts it uses the indexes of live and of bulk events.
CREATE VIEW $schema.fprom_waiting AS
(SELECT * FROM $schema.fprom_ledger WHERE account_id = $account AND state = 'waiting' AND NOT bulk ORDER BY seq)
UNION ALL
(SELECT * FROM $schema.fprom_ledger WHERE account_id = $account AND state = 'waiting' AND bulk ORDER BY seq);

-- The events that may be delivered now: each waits, is due, and is not under way. No other event of its customer is under way, and each
-- earlier one is set aside.
CREATE VIEW $schema.fprom_ready AS
SELECT * FROM $schema.fprom_ledger l
WHERE account_id = $account AND state = 'waiting' AND NOT $schema.fprom_ahead(claimed_until) AND NOT $schema.fprom_ahead(next_attempt) AND NOT EXISTS (
	SELECT 1 FROM $schema.fprom_ledger o WHERE o.account_id = l.account_id AND o.customer = l.customer AND o.customer <> '' AND o.state = 'waiting'
	AND (o.seq < l.seq AND NOT o.aside OR $schema.fprom_ahead(o.claimed_until)));

-- Makes a River job for an event. Jobs run in the order of their times.
CREATE FUNCTION $schema.fprom_wake(key text, bulk boolean, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO $schema.river_job (args, kind, max_attempts, queue, scheduled_at)
	VALUES (jsonb_build_object('key', key), 'fprom_event', 32767, CASE WHEN bulk THEN 'fprom_bulk' ELSE 'fprom' END, at);
END $$;

-- Makes a job for the first event of a customer that is not set aside, unless that is the event with this key. The job has the age of
-- its event, the time of its attempt or redrive, or the time since: the latest of them.
CREATE FUNCTION $schema.fprom_wake_first(lane text, but text, since timestamptz DEFAULT '-infinity') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM $schema.fprom_wake(key, bulk, greatest(since, least(greatest(recorded_at, next_attempt), now()))) FROM (SELECT * FROM $schema.fprom_ledger
		WHERE account_id = $account AND customer = lane AND customer <> '' AND state = 'waiting' AND NOT aside ORDER BY seq LIMIT 1) first WHERE key <> but;
END $$;

-- Locks the customer of an event until the end of the transaction: no other begins or ends a delivery for the customer meanwhile.
-- Returns the customer. If the event was put again with another customer meanwhile, it locks that one, too.
CREATE FUNCTION $schema.fprom_lock(wanted text, OUT lane text) LANGUAGE plpgsql AS $$
DECLARE
	locked text;
BEGIN
	LOOP
		SELECT customer INTO lane FROM $schema.fprom_ledger WHERE account_id = $account AND key = wanted;
		EXIT WHEN lane IS NOT DISTINCT FROM locked;
		PERFORM pg_advisory_xact_lock(hashtextextended('$schema/$account/' || CASE lane WHEN '' THEN 'key/' || wanted ELSE 'customer/' || lane END, 7306040937));
		locked := lane;
	END LOOP;
END $$;

-- Stores the messages of a JSON array. Returns the places, from 0, of those that are in the ledger already, and how many seconds younger
-- each is than the event there. Its age is null if the event there has another amount or currency.
CREATE FUNCTION $schema.fprom_put(messages jsonb) RETURNS TABLE (place bigint, age float8) LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
	m record;
BEGIN
	IF current_setting('synchronous_commit') = 'off' THEN -- a crash of the server would lose what was accepted
		SET LOCAL synchronous_commit = local; -- not on, which also waits for standbys
	END IF;
	-- In the order of the keys, so that two transactions with the same keys do not deadlock.
	FOR m IN SELECT * FROM (SELECT *, nullif(clear_key, key) AS clear, nextval('$schema.fprom_seq') AS seq FROM ROWS FROM (jsonb_to_recordset(messages) AS (key text, clear_key text, kind text,
			customer text, body text, amount bigint, currency text, digest bigint, bulk boolean, repeats boolean, recorded_at timestamptz)) WITH ORDINALITY) r ORDER BY key, seq
	LOOP
		LOOP
			-- The first generation is random: an outcome does not count for a row that took the place of a dropped one.
			INSERT INTO $schema.fprom_ledger (account_id, key, clear_key, seq, kind, customer, body, amount, currency, digest, bulk, recorded_at, generation)
			VALUES ($account, m.key, m.clear, m.seq, m.kind, m.customer, m.body, m.amount, m.currency, m.digest, m.bulk, m.recorded_at, (random() * 1000000000)::integer)
			ON CONFLICT (account_id, key) DO NOTHING;
			IF NOT FOUND THEN -- a dead letter, or a cancellation that is done, is replaced
				UPDATE $schema.fprom_ledger SET clear_key = m.clear, seq = m.seq, customer = m.customer, body = m.body, amount = m.amount, currency = m.currency,
					digest = m.digest, bulk = m.bulk, recorded_at = m.recorded_at, state = 'waiting', generation = generation + 1, attempts = 0,
					settled_at = NULL, outcome = '', reason = '', status_code = 0, promoter_event = 0, commissions = NULL
				WHERE account_id = $account AND key = m.key AND state IN ('dead', CASE WHEN m.repeats THEN 'done' END);
			END IF;
			IF FOUND THEN
				PERFORM $schema.fprom_wake(m.key, m.bulk, now());
				EXIT;
			END IF;
			SELECT m.ordinality - 1, CASE WHEN digest = m.digest THEN extract(epoch FROM m.recorded_at - recorded_at) END INTO place, age
			FROM $schema.fprom_ledger WHERE account_id = $account AND key = m.key;
			IF FOUND THEN
				IF age IS NULL THEN
					INSERT INTO $schema.fprom_conflict (account_id, key, digest) VALUES ($account, m.key, m.digest) ON CONFLICT DO NOTHING;
				END IF;
				RETURN NEXT;
				EXIT;
			END IF;
		END LOOP; -- again if another transaction has just removed the row
	END LOOP;
END $$;

-- Claims an event for a time if it is ready. A bulk event, or one by its job in the queue of bulk events (last), is claimed only if no other
-- live event is ready. Otherwise claimed is false: try again soon. Returns nothing if the event is not ready. Then another job will wake it,
-- or the upkeep where it is set aside and another event of its customer is under way.
CREATE FUNCTION $schema.fprom_claim(wanted text, seconds float8, last boolean) RETURNS TABLE (claimed boolean, event $schema.fprom_ledger) LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
	PERFORM $schema.fprom_lock(wanted);
	SELECT * INTO event FROM $schema.fprom_ledger WHERE account_id = $account AND key = wanted AND state = 'waiting';
	IF EXISTS (SELECT 1 FROM $schema.fprom_ready WHERE key = wanted) THEN
		-- The times are there for the index fprom_ledger_due: otherwise all live events that wait for their next attempt would be read.
		claimed := NOT (event.bulk OR last)
			OR NOT EXISTS (SELECT 1 FROM $schema.fprom_ready WHERE NOT bulk AND key <> wanted AND next_attempt <= now() AND next_attempt < 'infinity')
			AND NOT EXISTS (SELECT 1 FROM $schema.fprom_ready WHERE NOT bulk AND key <> wanted AND next_attempt > now() + interval '61 minutes' AND next_attempt < 'infinity');
		IF claimed THEN
			UPDATE $schema.fprom_ledger SET generation = generation + 1, claimed_until = clock_timestamp() + make_interval(secs => seconds)
			WHERE account_id = $account AND key = wanted RETURNING * INTO event;
		END IF;
		RETURN NEXT;
	ELSIF NOT event.bulk THEN -- the earlier bulk events of the customer become live
		-- Locked in the order of their keys first, as Forget does, which would deadlock with another order.
		PERFORM FROM $schema.fprom_ledger
		WHERE account_id = $account AND customer = event.customer AND customer <> '' AND state = 'waiting' AND bulk AND seq < event.seq ORDER BY key FOR UPDATE;
		UPDATE $schema.fprom_ledger SET bulk = false
		WHERE account_id = $account AND customer = event.customer AND customer <> '' AND state = 'waiting' AND bulk AND seq < event.seq;
		IF FOUND THEN
			PERFORM $schema.fprom_wake_first(event.customer, wanted, now());
		END IF;
	END IF;
END $$;

-- Stores what became of the delivery with this generation: an outcome, or a failed attempt (state "waiting"), after which the next one is in
-- wait seconds. Customer, body and clear key are erased, unless the event is a dead letter that may be redriven. Does nothing if the event was
-- claimed again meanwhile. Wakes the next event of the customer.
CREATE FUNCTION $schema.fprom_settle(settled text, claim integer, new_state text, new_outcome text, new_reason text, new_status integer, new_event bigint,
	new_commissions bigint[], new_attempts integer, pass boolean, wait float8) RETURNS void LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
	lane CONSTANT text := $schema.fprom_lock(settled);
	l    $schema.fprom_ledger;
BEGIN
	IF new_state = 'waiting' THEN
		UPDATE $schema.fprom_ledger SET attempts = new_attempts, reason = new_reason, status_code = new_status, aside = aside OR pass,
			next_attempt = clock_timestamp() + make_interval(secs => wait), claimed_until = '-infinity'
		WHERE account_id = $account AND key = settled AND generation = claim RETURNING * INTO l;
		IF FOUND THEN
			PERFORM $schema.fprom_wake(settled, l.bulk, l.next_attempt);
		END IF;
	ELSE
		UPDATE $schema.fprom_ledger SET state = new_state, outcome = new_outcome, reason = new_reason, status_code = new_status, promoter_event = new_event,
			commissions = new_commissions, attempts = new_attempts, settled_at = clock_timestamp(),
			claimed_until = '-infinity', aside = false, forget = false,
			customer = CASE WHEN new_state = 'done' OR forget THEN '' ELSE customer END,
			body = CASE WHEN new_state = 'done' OR forget THEN NULL ELSE body END,
			clear_key = CASE WHEN new_state = 'done' OR forget THEN NULL ELSE clear_key END
		WHERE account_id = $account AND key = settled AND generation = claim;
	END IF;
	PERFORM $schema.fprom_wake_first(lane, settled);
END $$;

-- Takes one call from a token bucket: the row of the account. A call is allowed from next_slot on. next_slot lags behind the clock by at most
-- the time of the spare calls, which may then follow each other at once. Returns the seconds until a call is allowed: none was taken if they are
-- more than 0. Also returns the limit that the caller knew, or else the stored one, and the limit now. That is per_minute if the caller knew none
-- (0), and else the stored one.
--
-- The rate is 95 % of the limit in 62 seconds, and a fortieth of the limit is spare. So no 60 seconds have more calls than the limit, although
-- one call may take three seconds longer to FirstPromoter than another. A bulk event takes a call only if all spare calls are left, so that it
-- does not delay live events.
CREATE FUNCTION $schema.fprom_admit(per_minute integer, known integer, bulk boolean, OUT wait float8, OUT was integer, OUT is_now integer, OUT stepped_back boolean) LANGUAGE plpgsql AS $$
DECLARE
	a      $schema.fprom_account;
	clock  timestamptz;
	apart  interval;
	spare  interval;
	slot   timestamptz;
	second bigint;
BEGIN
	SELECT * INTO STRICT a FROM $schema.fprom_account WHERE account_id = $account FOR UPDATE;
	was := CASE known WHEN 0 THEN a.requests_per_minute ELSE known END;
	is_now := CASE known WHEN 0 THEN per_minute ELSE a.requests_per_minute END;
	clock := clock_timestamp();
	apart := make_interval(secs => 62 / (0.95 * is_now));
	spare := apart * floor(is_now / 40.0);
	-- If a time is further ahead than any that is stored, the clock of the database stepped back.
	stepped_back := a.next_slot > clock + apart + interval '1 minute' OR a.paused_until > clock + interval '16 minutes';
	slot := CASE WHEN stepped_back OR a.requests_per_minute = 0 THEN clock ELSE greatest(a.next_slot, a.paused_until, clock - spare) END;
	wait := extract(epoch FROM slot - clock + CASE WHEN bulk THEN spare ELSE '0' END);
	IF wait <= 0 OR stepped_back OR is_now <> a.requests_per_minute THEN
		second := floor(extract(epoch FROM clock));
		UPDATE $schema.fprom_account SET requests_per_minute = is_now, next_slot = CASE WHEN wait <= 0 THEN slot + apart ELSE slot END,
			paused_until = CASE WHEN stepped_back THEN '-infinity' ELSE paused_until END,
			calls[(second % 60 + 1)::integer] = second * 1000000 + (wait <= 0)::integer +
				CASE calls[(second % 60 + 1)::integer] / 1000000 WHEN second THEN calls[(second % 60 + 1)::integer] % 1000000 ELSE 0 END
		WHERE account_id = $account;
	END IF;
END $$;
