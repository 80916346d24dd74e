-- The queue's verbs beside the lease, which is in 0004_gates.sql. Functions, because each of their
-- statements sees what others committed while the one before it waited for its locks, and because
-- their plans are pinned to the indexes: a plan made while the table was small must not scan it
-- once there is a backlog. (Sorting off and OFFSET 0 leave only the index that has the order, and
-- one look-up by it a row.)

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
-- the heads. While one is in flight nothing changes: its settling gives the turn again. One that
-- comes behind another destination's delivery gets no turn before that has succeeded, and in a
-- queue of which more has to end than went into one transaction nobody gets one before it has.
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
            AND o.state = 'leased')
      AND NOT EXISTS (
          SELECT 1 FROM long_queue l
          WHERE l.destination_id = pair.destination AND l.task_id = pair.task);
END
$$;
