-- Chains: a delivery that comes behind another destination's, of the same event.
--
-- What a plan may not get wrong, whatever it believes of a table that has just grown: sorting and
-- bitmaps are off, so the order that is asked for leaves one index. `between x and x` is an
-- equation that the planner takes for a range, so that its column counts in that order.

-- The deliveries behind these.
CREATE FUNCTION aftercommit_followers(ahead uuid[])
RETURNS TABLE (id uuid, destination_id uuid, task_id uuid, state text, error text, behind uuid)
LANGUAGE plpgsql STABLE ROWS 10
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
BEGIN
    RETURN QUERY
    SELECT f.* FROM unnest(ahead) o(id) CROSS JOIN LATERAL (
        SELECT d.id, d.destination_id, d.task_id, d.state::text, d.error::text, d.behind
        FROM delivery d WHERE d.behind BETWEEN o.id AND o.id
        ORDER BY d.behind OFFSET 0) f;
END
$$;

-- Chains: after deliveries have ended, those that come behind them in other destinations go, or
-- are cancelled with all that comes behind them in turn. Then the turns of every queue that was
-- touched, thinned out before where its destination wants only the newest. The caller holds the
-- heads; what is returned was cancelled or superseded here, to be told of.
CREATE FUNCTION aftercommit_move_on(told uuid[], destinations uuid[], tasks uuid[])
RETURNS SETOF delivery LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    moment CONSTANT timestamptz := statement_timestamp();
    ended uuid[] := told;
    broken uuid[] := '{}';
    queues uuid[];
    theirs uuid[];
BEGIN
    LOOP
        SELECT array_agg(d.destination_id), array_agg(d.task_id) INTO queues, theirs
        FROM aftercommit_followers(ended) d WHERE d.state = 'waiting';
        EXIT WHEN queues IS NULL;
        destinations := destinations || queues;
        tasks := tasks || theirs;
        WITH cancelled AS (
            UPDATE delivery d
            SET state = 'cancelled', error = 'chain_broken', ended_at = moment
            FROM aftercommit_followers(ended) f JOIN delivery chain ON chain.id = f.behind
            WHERE d.id = f.id AND d.state = 'waiting'
              AND chain.state IN ('dead', 'cancelled', 'superseded')
              -- Its chain still is its chain: what is to be let go is not torn down with it.
              AND NOT EXISTS (
                  SELECT 1 FROM destination_counter c
                  WHERE c.destination_id = d.destination_id AND c.freed_to >= d.sequence)
            RETURNING d.id)
        SELECT coalesce(array_agg(c.id), '{}') INTO ended FROM cancelled c;
        broken := broken || ended;
    END LOOP;
    RETURN QUERY SELECT s.* FROM aftercommit_supersede(destinations, tasks) s;
    PERFORM aftercommit_give_turns(destinations, tasks);
    RETURN QUERY SELECT d.* FROM unnest(broken) b(id) JOIN delivery d ON d.id = b.id;
END
$$;

-- Another chain, or none: let go what waits behind the old one, a batch at a time, in the order of
-- its sequence. Says how many; fewer than `most` are the last. The caller holds the head.
CREATE FUNCTION aftercommit_let_go(destination uuid, most integer) RETURNS integer
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    freed_to CONSTANT bigint := (
        SELECT c.freed_to FROM destination_counter c WHERE c.destination_id = destination);
    tasks uuid[];
BEGIN
    WITH chained AS MATERIALIZED (
        SELECT d.id FROM delivery d
        WHERE d.destination_id = destination AND d.sequence <= freed_to
          AND d.state = 'waiting' AND d.behind IS NOT NULL
        ORDER BY d.sequence LIMIT most
    ), freed AS (
        UPDATE delivery d SET behind = NULL FROM chained c WHERE d.id = c.id
        RETURNING d.task_id
    )
    SELECT coalesce(array_agg(f.task_id), '{}') INTO tasks FROM freed f;
    PERFORM aftercommit_give_turns(array_fill(destination, ARRAY[cardinality(tasks)]), tasks);
    IF cardinality(tasks) < most THEN
        UPDATE destination_counter c SET freed_to = 0
        WHERE c.destination_id = destination AND c.freed_to > 0;
    END IF;
    RETURN cardinality(tasks);
END
$$;

-- What was cancelled only because its chain broke waits again, once that is under way once more:
-- and what comes behind it in turn. The caller holds the heads.
CREATE FUNCTION aftercommit_mend_chains(revived uuid[], mark text)
RETURNS SETOF delivery LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    moment CONSTANT timestamptz := statement_timestamp();
    mended uuid[] := '{}';
BEGIN
    WHILE cardinality(revived) > 0 LOOP
        WITH again AS (
            UPDATE delivery d
            SET state = 'waiting', error = '', ended_at = NULL, failures = 0, leases = 0,
                trying_since = NULL, next_attempt_at = moment,
                replay = CASE WHEN d.replay = '' THEN mark ELSE d.replay END
            FROM aftercommit_followers(revived) f JOIN delivery chain ON chain.id = f.behind,
                destination x
            WHERE d.id = f.id AND d.state = 'cancelled' AND d.error = 'chain_broken'
              AND x.id = d.destination_id AND x.deleted_at IS NULL
              AND x.after = chain.destination_id
              -- Not where it was replayed since.
              AND NOT EXISTS (
                  SELECT 1 FROM delivery n
                  WHERE n.destination_id = d.destination_id AND n.event_seq = d.event_seq
                    AND n.sequence > d.sequence)
            RETURNING d.id)
        SELECT coalesce(array_agg(a.id), '{}') INTO revived FROM again a;
        mended := mended || revived;
    END LOOP;
    RETURN QUERY SELECT d.* FROM unnest(mended) m(id) JOIN delivery d ON d.id = m.id;
END
$$;
