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

-- What a link of a chain stands for: itself, or the delivery that in the end went instead of it
-- (mode latest). It goes up to `most` links far, and shortens the way for whoever comes after. (As
-- in union-find: Tarjan, 1975. So that whoever displaces need not touch all that comes behind.)
CREATE FUNCTION aftercommit_stands_for(link uuid, most integer) RETURNS uuid
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    way uuid[] := '{}';
    further uuid;
BEGIN
    LOOP
        SELECT d.superseded_by INTO further FROM delivery d
            WHERE d.id = link AND d.state = 'superseded';
        EXIT WHEN further IS NULL OR cardinality(way) >= most;
        way := way || link;
        link := further;
    END LOOP;
    IF cardinality(way) > 1 THEN
        UPDATE delivery d SET superseded_by = link
            FROM unnest(way[:cardinality(way) - 1]) w(id) WHERE d.id = w.id;
    END IF;
    RETURN link;
END
$$;

-- Of these queues, cancel the heads whose chain is broken, up to `most`, and let those that come
-- behind something displaced come behind what it stands for. What is left beyond that is noted, and
-- goes on with the sweep. The caller holds the heads of the logs; returns what was cancelled.
CREATE FUNCTION aftercommit_follow_chains(destinations uuid[], tasks uuid[], most integer)
RETURNS uuid[] LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    moment CONSTANT timestamptz := statement_timestamp();
    queue record;
    head record;
    link uuid;
    was text;
    last bigint;  -- what has been cancelled here is not walked over again
    broken uuid[] := '{}';
BEGIN
    FOR queue IN
        SELECT p.destination, p.task, coalesce(c.freed_to, 0) AS freed_to
        FROM (SELECT DISTINCT u.destination, u.task
              FROM unnest(destinations, tasks) u(destination, task) WHERE u.task IS NOT NULL) p
        CROSS JOIN LATERAL (
            SELECT o.state, o.behind FROM delivery o
            WHERE o.destination_id = p.destination AND o.task_id = p.task
              AND o.state IN ('waiting', 'pending', 'leased')
            ORDER BY o.sequence LIMIT 1) first
        JOIN delivery b ON b.id = first.behind
        LEFT JOIN destination_counter c ON c.destination_id = p.destination
        WHERE first.state = 'waiting' AND b.state IN ('dead', 'cancelled', 'superseded')
    LOOP
        last := 0;
        LOOP
            SELECT o.id, o.behind, o.sequence INTO head FROM delivery o
            WHERE o.destination_id = queue.destination AND o.task_id = queue.task
              AND o.state IN ('waiting', 'pending', 'leased') AND o.sequence > last
            ORDER BY o.sequence LIMIT 1;
            -- What is to be let go is not torn down with the chain that it has left.
            EXIT WHEN head.behind IS NULL OR head.sequence <= queue.freed_to;
            link := aftercommit_stands_for(head.behind, 1000);
            IF link <> head.behind THEN
                UPDATE delivery d SET behind = link WHERE d.id = head.id AND d.state = 'waiting';
            END IF;
            SELECT d.state INTO was FROM delivery d WHERE d.id = link;
            IF was = 'superseded'
                    OR was IN ('dead', 'cancelled') AND cardinality(broken) >= most THEN
                INSERT INTO long_queue (id, destination_id, task_id)
                    VALUES (aftercommit_uuid7(), queue.destination, queue.task)
                    ON CONFLICT DO NOTHING;
                EXIT;
            END IF;
            EXIT WHEN was IS NULL OR was NOT IN ('dead', 'cancelled');
            UPDATE delivery d
                SET state = 'cancelled', error = 'chain_broken', ended_at = moment
                WHERE d.id = head.id AND d.state = 'waiting';
            EXIT WHEN NOT FOUND;
            broken := broken || head.id;
            last := head.sequence;
        END LOOP;
    END LOOP;
    RETURN broken;
END
$$;

-- Chains: after deliveries have ended, those that come behind them in other destinations go, or
-- are cancelled with all that comes behind them in turn. Then the turns of every queue that was
-- touched, thinned out before where its destination wants only the newest. The caller holds the
-- heads; what is returned was cancelled or superseded here, to be told of. One call ends no more
-- than a thousand of each: queues of which more has to end are noted, and the sweep goes on.
CREATE FUNCTION aftercommit_move_on(told uuid[], destinations uuid[], tasks uuid[])
RETURNS SETOF delivery LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    most CONSTANT integer := 1000;
    moment CONSTANT timestamptz := statement_timestamp();
    ended uuid[] := told;
    broken uuid[] := '{}';
    queues uuid[];
    theirs uuid[];
BEGIN
    DELETE FROM long_queue l USING unnest(destinations, tasks) p(destination, task)
        WHERE l.destination_id = p.destination AND l.task_id = p.task;
    broken := aftercommit_follow_chains(destinations, tasks, most);
    ended := ended || broken;
    LOOP
        SELECT array_agg(d.destination_id), array_agg(d.task_id) INTO queues, theirs
        FROM aftercommit_followers(ended) d WHERE d.state = 'waiting';
        EXIT WHEN queues IS NULL;
        destinations := destinations || queues;
        tasks := tasks || theirs;
        WITH lost AS MATERIALIZED (
            SELECT f.id FROM aftercommit_followers(ended) f JOIN delivery chain ON chain.id = f.behind
            WHERE f.state = 'waiting' AND chain.state IN ('dead', 'cancelled')
            LIMIT greatest(most - cardinality(broken), 0)
        ), cancelled AS (
            UPDATE delivery d
            SET state = 'cancelled', error = 'chain_broken', ended_at = moment
            FROM lost f
            WHERE d.id = f.id AND d.state = 'waiting'
              -- Its chain still is its chain: what is to be let go is not torn down with it.
              AND NOT EXISTS (
                  SELECT 1 FROM destination_counter c
                  WHERE c.destination_id = d.destination_id AND c.freed_to >= d.sequence)
            RETURNING d.id)
        SELECT coalesce(array_agg(c.id), '{}') INTO ended FROM cancelled c;
        broken := broken || ended;
        ended := ended || aftercommit_follow_chains(
            queues, theirs, greatest(most - cardinality(broken), 0));
        broken := ARRAY(SELECT DISTINCT b.id FROM unnest(broken || ended) b(id));
    END LOOP;
    RETURN QUERY SELECT s.* FROM aftercommit_supersede(destinations, tasks, most) s;
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
