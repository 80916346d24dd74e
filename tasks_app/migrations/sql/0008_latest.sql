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
-- * The newest takes over the place in the line: a task that changes all the time has its turn. Not
--   where it waits for its next try: what the schedule or the destination said holds.
-- * What came behind the displaced one in a chain stays so, and goes once that which went instead
--   has succeeded (aftercommit_stands_for). So that this is seen, one of each queue comes behind
--   the newest, if none does yet: the last, which a destination of mode latest wants.
-- * At most 500 of a queue and `most` of all end here; it looks at the oldest of a queue and at its
--   last 100. Of a queue with more, nothing goes before the sweep has thinned out the rest.
CREATE FUNCTION aftercommit_supersede(destinations uuid[], tasks uuid[], most integer)
RETURNS SETOF delivery LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    moment CONSTANT timestamptz := statement_timestamp();
    queue record;
    newest record;
    gone record;
    stretch integer;
    ended uuid[] := '{}';
BEGIN
    FOR queue IN
        SELECT DISTINCT x.id AS destination, p.task
        FROM unnest(destinations, tasks) p(destination, task)
        JOIN destination x ON x.id = p.destination
        WHERE x.mode = 'latest' AND p.task IS NOT NULL
    LOOP
        stretch := least(500, most - cardinality(ended));
        IF stretch < 2 THEN
            INSERT INTO long_queue (id, destination_id, task_id)
                VALUES (aftercommit_uuid7(), queue.destination, queue.task)
                    ON CONFLICT DO NOTHING;
            CONTINUE;
        END IF;
        WITH first AS MATERIALIZED (
            SELECT o.id, o.event_seq, o.sequence, o.behind FROM delivery o
            WHERE o.destination_id = queue.destination AND o.task_id = queue.task
              AND o.state IN ('waiting', 'pending', 'leased')
            ORDER BY o.sequence LIMIT stretch
        ), bound AS MATERIALIZED (
            SELECT count(*) AS seen, max(f.sequence) AS last FROM first f
        ), line AS MATERIALIZED (
            SELECT f.* FROM first f
            UNION ALL
            SELECT l.* FROM bound b CROSS JOIN LATERAL (
                SELECT o.id, o.event_seq, o.sequence, o.behind FROM delivery o
                WHERE o.destination_id = queue.destination AND o.task_id = queue.task
                  AND o.state IN ('waiting', 'pending', 'leased') AND o.sequence > b.last
                ORDER BY o.sequence DESC LIMIT 100) l
            WHERE b.seen = stretch
        )
        SELECT l.id, l.event_seq, l.sequence, b.seen, b.last INTO newest
        FROM line l CROSS JOIN bound b
        WHERE l.behind IS NULL OR EXISTS (
            SELECT 1 FROM delivery c WHERE c.id = l.behind AND c.state = 'succeeded')
        ORDER BY l.event_seq DESC, l.sequence DESC LIMIT 1;
        CONTINUE WHEN NOT FOUND;
        WITH older AS MATERIALIZED (
            SELECT o.id FROM delivery o
            WHERE o.destination_id = queue.destination AND o.task_id = queue.task
              AND o.state IN ('waiting', 'pending', 'leased') AND o.sequence <= newest.last
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
        IF newest.seen = stretch THEN
            INSERT INTO long_queue (id, destination_id, task_id)
                VALUES (aftercommit_uuid7(), queue.destination, queue.task)
                    ON CONFLICT DO NOTHING;
        END IF;
        UPDATE delivery d SET next_attempt_at = least(d.next_attempt_at, gone.next_attempt_at),
            rank = least(d.rank, gone.rank)
        WHERE d.id = (SELECT o.id FROM delivery o WHERE o.id = newest.id AND o.failures = 0
                      AND o.state IN ('waiting', 'pending') FOR NO KEY UPDATE SKIP LOCKED);
        UPDATE delivery d SET behind = newest.id
        FROM (SELECT DISTINCT ON (o.destination_id) o.id
              FROM aftercommit_followers(gone.ids) f JOIN delivery o ON o.id = f.id
              WHERE o.state = 'waiting' AND NOT EXISTS (
                  SELECT 1 FROM aftercommit_followers(ARRAY[newest.id]) n
                  WHERE n.destination_id = f.destination_id AND n.state = 'waiting')
              ORDER BY o.destination_id, o.sequence DESC) last
        WHERE d.id = last.id AND d.state = 'waiting';
    END LOOP;
    RETURN QUERY SELECT d.* FROM unnest(ended) e(id) JOIN delivery d ON d.id = e.id;
END
$$;
