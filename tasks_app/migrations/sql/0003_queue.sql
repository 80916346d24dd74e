-- The queue's four verbs. Functions, because each of their statements sees what others committed
-- while the one before it waited for its locks, and because their plans are pinned to the indexes:
-- a plan made while the table was small must not scan it once there is a backlog. (Sorting off and
-- OFFSET 0 leave only the index that has the order, and one look-up by it a row.)

-- Lease: claim what may go out now, for one worker. It never waits for a lock.
--
-- 1. Lock destinations that are ready; whoever else leases passes over them until we commit.
-- 2. Count what each has in flight, in a snapshot taken under that lock, and claim within it.
--    (Lock, count and claim in one statement would count too early and overshoot the cap.)
--
-- Destinations share a batch evenly, and none holds more of the worker's slots than it leaves free
-- (`wanted` are the free ones); the last slots are for those that have nothing under way.
-- So those that hang, however many they are, each take less, and a healthy one finds room. (In
-- switches this is known as a dynamic threshold: Choudhury and Hahne, 1998.)
-- Within one, rank decides (urgent, first attempts, retries); with `by_age` the oldest goes first,
-- whatever its rank, so that no rank starves.
CREATE FUNCTION aftercommit_lease(
    worker text, wanted integer, margin double precision, by_age boolean)
RETURNS TABLE (
    delivery_id uuid, claim_id uuid, workspace_id uuid, destination_id uuid, task_id uuid,
    event_seq bigint, event_type text, message_id uuid, sequence bigint, attempts integer,
    failures integer, replay text, age double precision,
    event_id uuid, schema integer, at timestamptz, actor text, request_id text, traceparent text,
    data text)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    moment CONSTANT timestamptz := statement_timestamp();
    ready uuid[];
    share integer;
BEGIN
    SELECT array_agg(r.id) INTO ready FROM (
        SELECT d.id FROM destination d CROSS JOIN LATERAL (
            SELECT count(*) AS everybodys, count(*) FILTER (WHERE q.leased_by = worker) AS ours
            FROM delivery q WHERE q.destination_id = d.id AND q.state = 'leased') under_way
        WHERE d.state = 'active' AND d.deleted_at IS NULL
          AND (d.blocked_until IS NULL OR d.blocked_until <= moment)
          AND EXISTS (
              SELECT 1 FROM (VALUES (0), (1), (2), (3)) k(rank) CROSS JOIN LATERAL (
                  SELECT 1 FROM delivery q
                  WHERE q.destination_id = d.id AND q.state = 'pending' AND q.rank = k.rank
                    AND q.next_attempt_at <= moment
                  ORDER BY q.next_attempt_at LIMIT 1) due)
          AND under_way.everybodys < d.max_concurrency AND (under_way.ours = 0 OR under_way.ours + 2 <= wanted)
        ORDER BY under_way.ours, random() LIMIT wanted
        FOR NO KEY UPDATE OF d SKIP LOCKED) r;
    IF ready IS NULL THEN
        RETURN;
    END IF;
    share := ceil(wanted::numeric / cardinality(ready));

    RETURN QUERY
    WITH room AS MATERIALIZED (
        SELECT d.id, under_way.ours,
            greatest(0, least(share, d.max_concurrency - under_way.everybodys))::integer AS free
        FROM destination d CROSS JOIN LATERAL (
            SELECT count(*) AS everybodys, count(*) FILTER (WHERE q.leased_by = worker) AS ours
            FROM delivery q WHERE q.destination_id = d.id AND q.state = 'leased') under_way
        WHERE d.id = ANY (ready)
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
            leases = d.leases + 1, trying_since = coalesce(d.trying_since, moment),
            lease_expires_at = moment + make_interval(secs => x.timeout + margin)
        FROM taken t, destination x
        WHERE d.id = t.id AND x.id = d.destination_id
        RETURNING d.*
    )
    SELECT c.id, c.claim_id, c.workspace_id, c.destination_id, c.task_id,
           c.event_seq, c.event_type::text, c.message_id, c.sequence, c.attempts,
           c.failures, c.replay::text,
           extract(epoch FROM moment - c.trying_since)::double precision,
           e.id, e.schema::integer, e.at, e.actor::text, e.request_id::text, e.traceparent::text,
           e.data::text
    FROM claimed c JOIN event e ON e.workspace_id = c.workspace_id AND e.seq = c.event_seq;
END
$$;

-- Settle: write down outcomes, each fenced by its claim, with the attempt that had it. A stale
-- claim writes nothing and is not among the rows returned. The caller holds the heads.
CREATE FUNCTION aftercommit_settle(items jsonb) RETURNS SETOF delivery
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    moment CONSTANT timestamptz := statement_timestamp();
BEGIN
    RETURN QUERY
    WITH item AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(items) AS i(
            id uuid, claim uuid, state text, delay double precision, spent integer, rank smallint,
            status_code smallint, error text, ago double precision, duration_ms double precision,
            phases jsonb, failed_phase text, detail text, excerpt text)
    ), settled AS (
        UPDATE delivery d
        SET state = i.state, attempts = d.attempts + 1, failures = d.failures + i.spent,
            rank = coalesce(i.rank, d.rank), leases = 0, claim_id = NULL, leased_by = '',
            lease_expires_at = NULL, status_code = i.status_code, error = i.error,
            next_attempt_at = CASE WHEN i.state = 'pending'
                THEN moment + make_interval(secs => i.delay) ELSE d.next_attempt_at END,
            ended_at = CASE WHEN i.state = 'pending' THEN NULL ELSE moment END
        FROM item i
        WHERE d.id = i.id AND d.claim_id = i.claim AND d.state = 'leased'
        RETURNING d.*
    ), tried AS (
        INSERT INTO attempt (id, delivery_id, number, started_at, duration_ms, phases,
            failed_phase, status_code, error, detail, response_excerpt)
        SELECT aftercommit_uuid7(), s.id, s.attempts, moment - make_interval(secs => i.ago),
            i.duration_ms, i.phases, i.failed_phase, i.status_code, i.error, i.detail, i.excerpt
        FROM settled s JOIN item i ON i.id = s.id
    )
    SELECT * FROM settled;
END
$$;

-- Turns: of each (destination, task), let the first that has not ended go next. The caller holds
-- the heads. While one is in flight nothing changes: its settling gives the turn again.
CREATE FUNCTION aftercommit_give_turns(destinations uuid[], tasks uuid[]) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    UPDATE delivery d SET state = 'pending'
    FROM (SELECT DISTINCT p.destination, p.task
          FROM unnest(destinations, tasks) p(destination, task)) pair
    CROSS JOIN LATERAL (
        SELECT o.id, o.state FROM delivery o
        WHERE o.destination_id = pair.destination AND o.task_id = pair.task
          AND o.state IN ('waiting', 'pending', 'leased')
        ORDER BY o.sequence LIMIT 1) head
    WHERE d.id = head.id AND head.state = 'waiting' AND d.state = 'waiting'
      AND (d.behind IS NULL OR EXISTS (
          SELECT 1 FROM delivery chain WHERE chain.id = d.behind AND chain.state = 'succeeded'))
      AND NOT EXISTS (
          SELECT 1 FROM delivery o
          WHERE o.destination_id = pair.destination AND o.task_id = pair.task
            AND o.state = 'leased');
END
$$;

-- Due: whether a drain would find something. Cheap when it would not.
CREATE FUNCTION aftercommit_is_due() RETURNS boolean LANGUAGE sql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    SELECT EXISTS (
        SELECT 1 FROM destination d CROSS JOIN (VALUES (0), (1), (2), (3)) k(rank)
        CROSS JOIN LATERAL (
            SELECT 1 FROM delivery q
            WHERE q.destination_id = d.id AND q.state = 'pending' AND q.rank = k.rank
              AND q.next_attempt_at <= statement_timestamp()
            ORDER BY q.next_attempt_at LIMIT 1) due
        WHERE d.state = 'active' AND d.deleted_at IS NULL
          AND (d.blocked_until IS NULL OR d.blocked_until <= statement_timestamp())
          AND (SELECT count(*) FROM delivery q
               WHERE q.destination_id = d.id AND q.state = 'leased') < d.max_concurrency)
$$;
