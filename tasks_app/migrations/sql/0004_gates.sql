-- Gates: what a destination's circuit and rate limit let through, and the lease that heeds them.
--
-- Two narrow rows a destination, each with one kind of writer. `destination_circuit` is written by
-- whoever settles, under the workspace's head; `destination_gate` by the lease, under the
-- destination's lock. So neither waits for the other. A row that is missing is a closed circuit
-- through which nothing has gone.

-- A rate is counted in slots of a twentieth of its window. These are the counts of the 21 slots up
-- to `slot`: together they cover at least one whole window, so their sum never lets more than the
-- limit through in any window, wherever it begins.
CREATE FUNCTION aftercommit_window(sent integer[], newest bigint, slot bigint) RETURNS integer[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(coalesce(sent[i + least(greatest(slot - newest, 0), 21)::integer], 0) ORDER BY i)
    FROM generate_series(1, 21) i
$$;

-- Of one destination: how many may go now (null: as many as you like), and from when on again.
-- Open: one, once its time is over and unless one is on its way. Ramping: 1, 2, 4, 8 … a second.
CREATE FUNCTION aftercommit_gate(destination uuid, rate jsonb, moment timestamptz)
RETURNS TABLE (
    allowed integer, opens_at timestamptz, era integer, circuit text,
    ramp_at timestamptz, ramp_allows integer, ramp_sent integer,
    rate_seconds integer, slot bigint, sent integer[])
LANGUAGE sql STABLE AS $$
    SELECT
        least(
            CASE c.state WHEN 'open' THEN (c.until <= moment AND NOT p.probing)::integer
                         WHEN 'ramping' THEN r.allows - r.sent END,
            l.requests - w.used),
        greatest(
            CASE c.state WHEN 'open' THEN CASE WHEN p.probing THEN 'infinity' ELSE c.until END
                         WHEN 'ramping' THEN CASE WHEN r.sent >= r.allows
                             THEN r.at + interval '1 second' END END,
            CASE WHEN w.used >= l.requests
                THEN to_timestamp((w.oldest + 21) * l.seconds / 20.0) END),
        coalesce(c.era, 0), coalesce(c.state, 'closed'),
        r.at, r.allows, r.sent, l.seconds, w.slot, w.sent
    FROM (SELECT (rate->>'requests')::integer AS requests, (rate->>'seconds')::integer AS seconds) l
    LEFT JOIN destination_circuit c ON c.destination_id = destination
    LEFT JOIN destination_gate g ON g.destination_id = destination
    -- OFFSET 0: what does not concern a destination is not computed for it either.
    LEFT JOIN LATERAL (
        SELECT EXISTS (
            SELECT 1 FROM delivery q WHERE q.destination_id = destination AND q.state = 'leased'
              AND q.claim_id = g.probe_claim) AS probing
        WHERE c.state = 'open' OFFSET 0) p ON true
    LEFT JOIN LATERAL (
        SELECT s.at, s.allows, CASE WHEN g.ramp_at = s.at THEN g.ramp_sent ELSE 0 END AS sent
        FROM (SELECT c.since + n.step * interval '1 second' AS at, 1 << least(n.step, 30) AS allows
              FROM (SELECT greatest(floor(extract(epoch FROM moment - c.since)), 0)::integer AS step
                   ) n) s
        WHERE c.state = 'ramping' OFFSET 0) r ON true
    LEFT JOIN LATERAL (
        SELECT s.slot, s.sent, (SELECT sum(n) FROM unnest(s.sent) n)::integer AS used,
               s.slot - 21 + (SELECT min(i) FROM generate_subscripts(s.sent, 1) i
                              WHERE s.sent[i] > 0) AS oldest
        FROM (SELECT n.slot, aftercommit_window(n.sent, n.newest, n.slot) AS sent
              FROM (SELECT greatest(b.slot, k.newest) AS slot, k.newest, k.sent
                    FROM (SELECT floor(extract(epoch FROM moment) * 20 / l.seconds)::bigint AS slot) b
                    CROSS JOIN (SELECT
                        CASE WHEN g.rate_seconds = l.seconds THEN g.slot END AS newest,
                        CASE WHEN g.rate_seconds = l.seconds THEN g.sent END AS sent) k) n
              OFFSET 0) s
        WHERE l.requests IS NOT NULL OFFSET 0) w ON true
$$;

-- Which destinations have something that is due by then, and since when. The thousand rows that are
-- due longest tell it, unless there are more: then one of those destinations may hide the others,
-- and each is looked up by index, as often as it has ranks with anything pending at all, however
-- many rows that is. So what costs most, a retry each at thousands of destinations that is due
-- later, is passed over but in a flood.
CREATE FUNCTION aftercommit_due(by timestamptz)
RETURNS TABLE (destination_id uuid, due_at timestamptz)
LANGUAGE plpgsql STABLE ROWS 10
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH RECURSIVE oldest AS MATERIALIZED (
        SELECT q.destination_id, q.next_attempt_at FROM delivery q
        WHERE q.state = 'pending' AND q.next_attempt_at <= by
        ORDER BY q.next_attempt_at LIMIT 1000
    ), flood AS MATERIALIZED (
        SELECT count(*) = 1000 AS is_there FROM oldest
    ), line AS (
        (SELECT q.destination_id, q.rank, q.next_attempt_at FROM delivery q
         WHERE q.state = 'pending' AND (SELECT f.is_there FROM flood f)
         ORDER BY q.destination_id, q.rank, q.next_attempt_at, q.sequence LIMIT 1)
        UNION ALL
        SELECT n.* FROM line l CROSS JOIN LATERAL (
            SELECT q.destination_id, q.rank, q.next_attempt_at FROM delivery q
            WHERE q.state = 'pending' AND (q.destination_id, q.rank) > (l.destination_id, l.rank)
            ORDER BY q.destination_id, q.rank, q.next_attempt_at, q.sequence LIMIT 1) n
    )
    SELECT o.destination_id, min(o.next_attempt_at) FROM oldest o
    WHERE NOT (SELECT f.is_there FROM flood f) GROUP BY o.destination_id
    UNION ALL
    SELECT l.destination_id, min(l.next_attempt_at) FROM line l
    WHERE l.next_attempt_at <= by GROUP BY l.destination_id;
END
$$;

-- Lease: claim what may go out now, for one worker. It never waits for a lock.
--
-- 1. Lock destinations that are ready; whoever else leases passes over them until we commit.
-- 2. Count what each has in flight and what its gate lets through, in a snapshot taken under that
--    lock, and claim within it. (Lock, count and claim in one statement would count too early and
--    overshoot.)
--
-- Destinations share a batch evenly, and none holds more of the worker's slots than it leaves free
-- (`wanted` are the free ones); the last slots are for those that have nothing under way.
-- So those that hang, however many they are, each take less, and a healthy one finds room. (In
-- switches this is known as a dynamic threshold: Choudhury and Hahne, 1998.)
-- Within one, rank decides (urgent, first attempts, retries, replays); with `by_age` the oldest
-- goes first, whatever its rank, so that no rank starves.
CREATE FUNCTION aftercommit_lease(
    worker text, wanted integer, margin double precision, by_age boolean)
RETURNS TABLE (
    delivery_id uuid, claim_id uuid, workspace_id uuid, destination_id uuid, task_id uuid,
    event_seq bigint, event_type text, message_id uuid, sequence bigint, attempts integer,
    failures integer, replay text, age double precision, era integer,
    event_id uuid, schema integer, at timestamptz, actor text, request_id text, traceparent text,
    data text, clock double precision)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    moment CONSTANT timestamptz := statement_timestamp();
    due CONSTANT uuid[] := ARRAY(SELECT x.destination_id FROM aftercommit_due(moment) x);
    ready uuid[];
    share integer;
BEGIN
    SELECT array_agg(r.id) INTO ready FROM (
        SELECT d.id FROM destination d
        CROSS JOIN LATERAL (
            SELECT count(*) AS everybodys, count(*) FILTER (WHERE q.leased_by = worker) AS ours
            FROM delivery q WHERE q.destination_id = d.id AND q.state = 'leased') under_way
        CROSS JOIN LATERAL aftercommit_gate(d.id, d.rate_limit, moment) gate
        WHERE d.id = ANY (due) AND d.state = 'active' AND d.deleted_at IS NULL
          AND (d.blocked_until IS NULL OR d.blocked_until <= moment)
          AND coalesce(gate.allowed, 1) > 0
          AND under_way.everybodys < d.max_concurrency
          AND (under_way.ours = 0 OR under_way.ours + 2 <= wanted)
        ORDER BY under_way.ours, random() LIMIT wanted
        FOR NO KEY UPDATE OF d SKIP LOCKED) r;
    IF ready IS NULL THEN
        RETURN;
    END IF;
    share := ceil(wanted::numeric / cardinality(ready));

    RETURN QUERY
    WITH room AS MATERIALIZED (
        SELECT d.id, under_way.ours, gate.*, greatest(0, least(
            share, d.max_concurrency - under_way.everybodys, gate.allowed))::integer AS free
        FROM destination d CROSS JOIN LATERAL (
            SELECT count(*) AS everybodys, count(*) FILTER (WHERE q.leased_by = worker) AS ours
            FROM delivery q WHERE q.destination_id = d.id AND q.state = 'leased') under_way
        CROSS JOIN LATERAL aftercommit_gate(d.id, d.rate_limit, moment) gate
        WHERE d.id = ANY (ready) AND d.state = 'active' AND d.deleted_at IS NULL
    ), candidate AS MATERIALIZED (
        SELECT c.*, r.free, r.ours FROM room r CROSS JOIN (VALUES (0), (1), (2), (3)) k(rank)
        CROSS JOIN LATERAL (
            SELECT q.id, q.destination_id, q.rank, q.next_attempt_at, q.sequence
            FROM delivery q
            WHERE q.destination_id = r.id AND q.state = 'pending' AND q.rank = k.rank
              AND q.next_attempt_at <= moment
              AND NOT EXISTS (
                  SELECT 1 FROM delivery o
                  WHERE o.destination_id = q.destination_id AND o.task_id = q.task_id
                    AND o.state IN ('waiting', 'pending', 'leased')
                    AND (o.sequence < q.sequence OR o.state = 'leased')
                  OFFSET 0)
            ORDER BY q.next_attempt_at, q.sequence LIMIT r.free
            FOR NO KEY UPDATE OF q SKIP LOCKED) c
    ), ranked AS (
        SELECT c.id, c.free, c.ours, row_number() OVER (
            PARTITION BY c.destination_id
            ORDER BY CASE WHEN by_age THEN 0 ELSE c.rank END, c.next_attempt_at, c.sequence) AS nth
        FROM candidate c
    ), taken AS MATERIALIZED (
        -- One by one, those that hold least first, for as long as no more is held than left free.
        SELECT r.id FROM (
            SELECT r.id, r.ours + r.nth AS held,
                row_number() OVER (ORDER BY r.ours + r.nth, r.nth) AS place
            FROM ranked r WHERE r.nth <= r.free) r
        WHERE r.held = 1 OR r.held <= wanted - r.place
        ORDER BY r.place LIMIT wanted
    ), claimed AS (
        UPDATE delivery d
        SET state = 'leased', claim_id = gen_random_uuid(), leased_by = worker,
            leases = d.leases + 1,
            -- Its age begins anew where the destination was resumed since.
            trying_since = CASE WHEN d.trying_since > coalesce(x.resumed_at, '-infinity')
                THEN d.trying_since ELSE moment END,
            lease_expires_at = moment + make_interval(secs => x.timeout + margin)
        FROM taken t, destination x
        WHERE d.id = t.id AND x.id = d.destination_id
        RETURNING d.*
    ), passed AS (
        -- What went through the gate: the probe by its claim, the ramp and the rate by number.
        INSERT INTO destination_gate AS g (
            destination_id, probe_claim, ramp_at, ramp_sent, ramp_full_at, rate_seconds, slot, sent)
        SELECT r.id, CASE WHEN r.circuit = 'open' THEN n.claim END,
               r.ramp_at, coalesce(r.ramp_sent + n.total, 0),
               CASE WHEN r.ramp_sent + n.total >= r.ramp_allows THEN moment END,
               r.rate_seconds, coalesce(r.slot, 0),
               r.sent[1:20] || (r.sent[21] + n.total)
        FROM room r JOIN (
            SELECT c.destination_id, count(*)::integer AS total, (array_agg(c.claim_id))[1] AS claim
            FROM claimed c GROUP BY c.destination_id) n ON n.destination_id = r.id
        WHERE r.circuit <> 'closed' OR r.rate_seconds IS NOT NULL
        ON CONFLICT (destination_id) DO UPDATE SET
            probe_claim = coalesce(excluded.probe_claim, g.probe_claim),
            ramp_at = coalesce(excluded.ramp_at, g.ramp_at), ramp_sent = excluded.ramp_sent,
            ramp_full_at = coalesce(excluded.ramp_full_at, g.ramp_full_at),
            rate_seconds = excluded.rate_seconds, slot = excluded.slot, sent = excluded.sent
    )
    SELECT c.id, c.claim_id, c.workspace_id, c.destination_id, c.task_id,
           c.event_seq, c.event_type::text, c.message_id, c.sequence, c.attempts,
           c.failures, c.replay::text,
           extract(epoch FROM moment - c.trying_since)::double precision, r.era,
           e.id, e.schema::integer, e.at, e.actor::text, e.request_id::text, e.traceparent::text,
           e.data::text, extract(epoch FROM clock_timestamp())::double precision
    FROM claimed c JOIN room r ON r.id = c.destination_id
    JOIN event e ON e.workspace_id = c.workspace_id AND e.seq = c.event_seq;
END
$$;

-- Due in: after how many seconds a lease would find something, 0 for now; null where not within
-- `ahead` seconds, or only once something under way has ended. Cheap where nothing is pending.
CREATE FUNCTION aftercommit_due_in(ahead double precision) RETURNS double precision
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    moment CONSTANT timestamptz := statement_timestamp();
    last CONSTANT timestamptz := moment + make_interval(secs => ahead);
    first timestamptz;
BEGIN
    SELECT min(greatest(x.due_at, d.blocked_until, gate.opens_at, moment)) INTO first
    FROM aftercommit_due(last) x
    -- OFFSET 0: begins with what is due, whatever the planner believes of how many there are.
    CROSS JOIN LATERAL (SELECT * FROM destination d WHERE d.id = x.destination_id OFFSET 0) d
    CROSS JOIN LATERAL aftercommit_gate(d.id, d.rate_limit, moment) gate
    WHERE d.state = 'active' AND d.deleted_at IS NULL
      AND (SELECT count(*) FROM delivery q
           WHERE q.destination_id = d.id AND q.state = 'leased') < d.max_concurrency;
    RETURN CASE WHEN first <= last THEN extract(epoch FROM first - moment) END;
END
$$;

ALTER TABLE destination_circuit SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);
ALTER TABLE destination_gate SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);
