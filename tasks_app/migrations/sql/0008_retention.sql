-- Retention: erase the oldest of a log, a batch at a time. It holds no head and waits for no row: what
-- somebody has locked (a delivery that is retried by hand, and what is mended behind it) stays with
-- its event until the next time. What still is under way below the floor, or belongs to a replay that
-- is, stops the broom in front of it.
--
-- A delivery goes with its event, never later: a lease joins the two. An event goes only in the
-- order of seq, so that whoever reads a page meanwhile sees a log without a hole.
CREATE FUNCTION aftercommit_erase(workspace uuid, stride integer, most integer) RETURNS integer
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    floor log_floor;
    until bigint;
    many integer;
    found integer;
    gone integer;
    told integer := 0;
BEGIN
    SELECT f.* INTO floor FROM log_floor f WHERE f.workspace_id = workspace
        FOR NO KEY UPDATE SKIP LOCKED;
    IF floor.workspace_id IS NULL THEN
        RETURN 0;
    END IF;
    until := least(floor.erased_to + stride, floor.kept_from - 1);
    SELECT least(until, min(r.from_seq) - 1) INTO until FROM replay r
        WHERE r.workspace_id = workspace AND r.state IN ('running', 'waiting');
    -- Fewer than `most` deliveries, or those of one event: what is looked at is what can go.
    WHILE until > floor.erased_to + 1 LOOP
        SELECT count(*) INTO many FROM (
            SELECT 1 FROM destination x CROSS JOIN LATERAL (
                SELECT 1 FROM delivery d
                WHERE d.destination_id = x.id
                  AND d.event_seq > floor.erased_to AND d.event_seq <= until
                ORDER BY d.event_seq, d.sequence LIMIT most) o
            WHERE x.workspace_id = workspace LIMIT most) n;
        EXIT WHEN many < most;
        until := floor.erased_to + (until - floor.erased_to) / 2;
    END LOOP;
    SELECT least(until, min(o.event_seq) - 1) INTO until
    FROM destination x CROSS JOIN LATERAL (
        SELECT d.event_seq FROM delivery d
        WHERE d.destination_id = x.id AND d.event_seq > floor.erased_to AND d.event_seq <= until
          AND d.state IN ('waiting', 'pending', 'leased')
        ORDER BY d.event_seq, d.sequence LIMIT 1) o
    WHERE x.workspace_id = workspace;
    IF until <= floor.erased_to THEN
        RETURN 0;
    END IF;
    WITH old AS MATERIALIZED (
        SELECT o.id FROM destination x CROSS JOIN LATERAL (
            SELECT d.id FROM delivery d
            WHERE d.destination_id = x.id AND d.event_seq > floor.erased_to AND d.event_seq <= until
            ORDER BY d.event_seq, d.sequence LIMIT most) o
        WHERE x.workspace_id = workspace LIMIT most
    ), free AS MATERIALIZED (
        SELECT d.id FROM old o JOIN delivery d ON d.id = o.id
        WHERE d.state NOT IN ('waiting', 'pending', 'leased')
        FOR UPDATE OF d SKIP LOCKED
    ), erased AS (
        DELETE FROM delivery d USING free f WHERE d.id = f.id RETURNING d.id
    ), tried AS (
        DELETE FROM attempt a USING erased e WHERE a.delivery_id = e.id
    )
    SELECT (SELECT count(*) FROM old), (SELECT count(*) FROM erased) INTO found, gone;
    IF gone = found AND found < most THEN
        DELETE FROM event e
            WHERE e.workspace_id = workspace AND e.seq > floor.erased_to AND e.seq <= until;
        GET DIAGNOSTICS told = ROW_COUNT;
        UPDATE log_floor f SET erased_to = until WHERE f.workspace_id = workspace;
    END IF;
    RETURN gone + told;
END
$$;
