-- Mode latest: of one task and destination only the newest state is sent where several wait. Plans
-- are pinned as in 0007_chains.sql, and for the same reason.

-- In each of these queues of a destination of mode latest, the newest event that may go takes the
-- place of the older ones that wait beside it. The caller holds the heads; what is returned has
-- been superseded here, to be told of.
--
-- * Newest is by event, not by sequence: a replay of something old displaces nothing.
-- * Only what may go displaces: a state that its chain still holds up would let the destination
--   wait for ever, where that chain lags behind.
-- * What is leased is not displaced, nor what a lease has locked just now, nor what was leased by
--   somebody who died: that may have arrived, so it is sent until its outcome is known.
-- * The newest takes over the place in the line: a task that changes all the time has its turn.
-- * What came behind the displaced one in a chain comes behind the newest from here on: that is
--   what brings the state, or breaks the chain.
CREATE FUNCTION aftercommit_supersede(destinations uuid[], tasks uuid[]) RETURNS SETOF delivery
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    moment CONSTANT timestamptz := statement_timestamp();
    queue record;
    newest record;
    gone record;
    ended uuid[] := '{}';
BEGIN
    FOR queue IN
        SELECT DISTINCT x.id AS destination, p.task
        FROM unnest(destinations, tasks) p(destination, task)
        JOIN destination x ON x.id = p.destination
        WHERE x.mode = 'latest' AND p.task IS NOT NULL
    LOOP
        SELECT o.id, o.event_seq, o.sequence INTO newest FROM delivery o
        WHERE o.destination_id = queue.destination AND o.task_id = queue.task
          AND o.state IN ('waiting', 'pending', 'leased')
          AND (o.behind IS NULL OR EXISTS (
              SELECT 1 FROM delivery c WHERE c.id = o.behind AND c.state = 'succeeded'))
        ORDER BY o.event_seq DESC, o.sequence DESC LIMIT 1;
        CONTINUE WHEN NOT FOUND;
        WITH older AS MATERIALIZED (
            SELECT o.id FROM delivery o
            WHERE o.destination_id = queue.destination AND o.task_id = queue.task
              AND o.state IN ('waiting', 'pending', 'leased')
              AND o.state <> 'leased' AND o.leases = 0
              AND (o.event_seq, o.sequence) < (newest.event_seq, newest.sequence)
            ORDER BY o.sequence FOR NO KEY UPDATE SKIP LOCKED
        ), displaced AS (
            UPDATE delivery d
            SET state = 'superseded', superseded_by = newest.id, ended_at = moment
            FROM older o WHERE d.id = o.id
            RETURNING d.id, d.next_attempt_at, d.rank
        )
        SELECT array_agg(d.id) AS ids, min(d.next_attempt_at) AS next_attempt_at,
               min(d.rank) AS rank
        INTO gone FROM displaced d;
        CONTINUE WHEN gone.ids IS NULL;
        ended := ended || gone.ids;
        UPDATE delivery d SET next_attempt_at = least(d.next_attempt_at, gone.next_attempt_at),
            rank = least(d.rank, gone.rank)
        WHERE d.id = (SELECT o.id FROM delivery o WHERE o.id = newest.id
                      AND o.state IN ('waiting', 'pending') FOR NO KEY UPDATE SKIP LOCKED);
        UPDATE delivery d SET behind = newest.id
        FROM aftercommit_followers(gone.ids) f WHERE d.id = f.id AND d.state = 'waiting';
    END LOOP;
    RETURN QUERY SELECT d.* FROM unnest(ended) e(id) JOIN delivery d ON d.id = e.id;
END
$$;
