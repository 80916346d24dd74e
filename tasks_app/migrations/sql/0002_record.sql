-- RFC 9562 §5.7, for rows that SQL makes; PostgreSQL has uuidv7() itself only from 18 on.
CREATE FUNCTION aftercommit_uuid7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(
        set_bit(set_bit(
            overlay(uuid_send(gen_random_uuid())
                placing substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                FROM 1 FOR 6),
            52, 1), 53, 1), 'hex')::uuid
$$;

-- The one way into the log, and the last statement of the transaction that calls it.
--
-- items: [{"id", "workspace", "type", "actor", "request_id", "traceparent", "task", "data",
--          "deliver": bool, "only": destination or null, "urgent": bool, "new": bool}, …]
--
-- A function and not one CTE, because each statement in here has a snapshot of its own, taken
-- after the head is locked: what another transaction of this workspace committed while we
-- waited is seen. So deliveries are inserted, ended and promoted as if by one writer, and
-- `seq` is dense and in commit order.
--
-- `crowded` names the destinations of mode latest at which what was queued stands behind something
-- older: the caller thins them out (aftercommit_move_on), so that all others need not be asked.
CREATE FUNCTION aftercommit_record(items jsonb)
RETURNS TABLE (item integer, seq bigint, number bigint, sync text, crowded uuid[])
LANGUAGE plpgsql
-- A plan made while a table was still small must not scan it once it has grown.
SET enable_seqscan = off AS $$
DECLARE
    -- One instant for the whole call; the database's clock is the only one that counts.
    moment CONSTANT timestamptz := statement_timestamp();
BEGIN
    -- 1. Raise the heads, locked in the order of their ids: two settles that span the same
    --    workspaces cannot wait for each other.
    PERFORM 1 FROM workspace_head h
        WHERE h.workspace_id IN (
            SELECT (i->>'workspace')::uuid FROM jsonb_array_elements(items) i)
        ORDER BY h.workspace_id FOR NO KEY UPDATE;

    RETURN QUERY
    WITH listed AS MATERIALIZED (
        SELECT r.ord::integer AS ord, (r.i->>'id')::uuid AS id,
               (r.i->>'workspace')::uuid AS workspace, r.i->>'type' AS type,
               (r.i->>'task')::uuid AS task, (r.i->>'only')::uuid AS only_to,
               coalesce((r.i->>'deliver')::boolean, false) AS deliver,
               coalesce((r.i->>'urgent')::boolean, false) AS urgent,
               coalesce((r.i->>'new')::boolean, false) AS is_new
        FROM jsonb_array_elements(items) WITH ORDINALITY r(i, ord)
    ), raised AS (
        UPDATE workspace_head h
        SET seq = h.seq + n.events, task_number = h.task_number + n.tasks
        FROM (SELECT l.workspace, count(*) AS events, count(*) FILTER (WHERE l.is_new) AS tasks
              FROM listed l GROUP BY l.workspace) n
        WHERE h.workspace_id = n.workspace
        RETURNING h.workspace_id, h.seq - n.events AS seq, h.task_number - n.tasks AS task_number
    ), numbered AS MATERIALIZED (
        SELECT l.*,
               h.seq + row_number() OVER (PARTITION BY l.workspace ORDER BY l.ord) AS seq,
               CASE WHEN l.is_new THEN h.task_number + count(*) FILTER (WHERE l.is_new)
                   OVER (PARTITION BY l.workspace ORDER BY l.ord) END AS number
        FROM listed l JOIN raised h ON h.workspace_id = l.workspace
    ), wanted AS MATERIALIZED (
        -- 2. Fan out: who wants which event.
        SELECT n.*, d.id AS destination, d.after, d.mode, aftercommit_uuid7() AS delivery,
               row_number() OVER (PARTITION BY d.id ORDER BY n.ord) AS nth,
               n.task IS NOT NULL AND row_number()
                   OVER (PARTITION BY d.id, n.task ORDER BY n.ord) > 1 AS behind
        FROM numbered n JOIN destination d
            ON d.workspace_id = n.workspace AND d.deleted_at IS NULL
        WHERE n.deliver AND CASE WHEN n.only_to IS NULL
            THEN d.events && ARRAY['*', n.type]::varchar[] ELSE d.id = n.only_to END
    ), counted AS (
        UPDATE destination_counter c SET sequence = c.sequence + w.total
        FROM (SELECT destination, count(*) AS total FROM wanted GROUP BY destination) w
        WHERE c.destination_id = w.destination
        RETURNING c.destination_id, c.sequence - w.total AS sequence
    ), queued AS (
        INSERT INTO delivery (
            id, workspace_id, destination_id, event_seq, event_type, task_id, message_id,
            sequence, state, rank, next_attempt_at, attempts, failures, leases, leased_by,
            error, created_at, behind)
        SELECT w.delivery, w.workspace, w.destination, w.seq, w.type, w.task, w.delivery,
               c.sequence + w.nth,
               -- Behind an earlier one of its task, or behind its chain: the delivery of the same
               -- event to the destination that this one comes after, where that wants it too.
               CASE WHEN w.behind OR chain.delivery IS NOT NULL OR (w.task IS NOT NULL AND EXISTS (
                   SELECT 1 FROM delivery o
                   WHERE o.destination_id = w.destination AND o.task_id = w.task
                     AND o.state IN ('waiting', 'pending', 'leased')))
               THEN 'waiting' ELSE 'pending' END,
               CASE WHEN w.urgent THEN 0 ELSE 1 END, moment, 0, 0, 0, '', '', moment,
               chain.delivery
        FROM wanted w JOIN counted c ON c.destination_id = w.destination
        LEFT JOIN wanted chain ON chain.destination = w.after AND chain.ord = w.ord
        RETURNING id, destination_id, task_id, sequence, state, failures, behind
    ), crowd AS (
        SELECT w.ord, array_agg(w.destination) AS destinations
        FROM wanted w JOIN queued q ON q.id = w.delivery
        -- What its chain holds up displaces nothing yet.
        WHERE w.mode = 'latest' AND q.state = 'waiting' AND w.task IS NOT NULL AND q.behind IS NULL
        GROUP BY w.ord
    ), named AS (
        UPDATE task t SET number = n.number FROM numbered n
        WHERE n.is_new AND t.id = n.task
        RETURNING t.id
    ), newest AS (
        -- 3. `sync` of each task told of: the worst over each destination's newest delivery
        --    (what was superseded stands for nothing: another brings the state).
        SELECT DISTINCT ON (x.task_id, x.destination_id) x.task_id, x.state, x.failures
        FROM (
            SELECT q.task_id, q.destination_id, q.sequence, q.state, q.failures FROM queued q
            UNION ALL
            SELECT o.task_id, o.destination_id, o.sequence, o.state, o.failures
            FROM (SELECT DISTINCT n.task FROM numbered n) told CROSS JOIN LATERAL (
                -- OFFSET 0: one look-up by index a task, whatever the planner believes.
                SELECT o.task_id, o.destination_id, o.sequence, o.state, o.failures
                FROM delivery o WHERE o.task_id = told.task OFFSET 0) o
            JOIN destination d ON d.id = o.destination_id AND d.deleted_at IS NULL
        ) x
        WHERE x.task_id IS NOT NULL AND x.state <> 'superseded'
        ORDER BY x.task_id, x.destination_id, x.sequence DESC
    ), judged AS (
        SELECT t.task, t.workspace, (ARRAY['failed', 'retrying', 'scheduled', 'synced', 'none'])[
            coalesce(min(CASE
                WHEN w.state = 'dead' THEN 1
                WHEN w.state IN ('waiting', 'pending', 'leased')
                    THEN CASE WHEN w.failures > 0 THEN 2 ELSE 3 END
                WHEN w.state = 'succeeded' THEN 4
                ELSE 5 END), 5)] AS state
        FROM (SELECT DISTINCT n.task, n.workspace FROM numbered n WHERE n.task IS NOT NULL) t
        LEFT JOIN newest w ON w.task_id = t.task
        GROUP BY t.task, t.workspace
    ), gone AS (
        DELETE FROM task_sync s USING numbered n
        WHERE n.type = 'task_deleted' AND s.task_id = n.task
        RETURNING s.task_id
    ), kept AS (
        INSERT INTO task_sync AS s (task_id, workspace_id, state)
        SELECT j.task, j.workspace, j.state FROM judged j
        WHERE EXISTS (SELECT 1 FROM task t WHERE t.id = j.task)
        ON CONFLICT (task_id) DO UPDATE SET state = excluded.state
            WHERE s.state <> excluded.state
        RETURNING s.task_id
    ), logged AS (
        -- 4. The events, each with its number and the task's sync as of now.
        INSERT INTO event (
            id, workspace_id, seq, schema, type, at, actor, request_id, traceparent, task_id, data)
        SELECT n.id, n.workspace, n.seq, 1, n.type, moment,
               coalesce(r.i->'actor', '{}'), coalesce(r.i->>'request_id', ''),
               coalesce(r.i->>'traceparent', ''), n.task,
               CASE WHEN r.i->'data' ? 'task' THEN (r.i->'data') || jsonb_build_object(
                   'task', (r.i->'data'->'task') || jsonb_strip_nulls(
                       jsonb_build_object('number', n.number, 'sync', j.state)))
               ELSE coalesce(r.i->'data', '{}') END
        FROM numbered n
        JOIN jsonb_array_elements(items) WITH ORDINALITY r(i, ord) ON r.ord = n.ord
        LEFT JOIN judged j ON j.task = n.task
    )
    SELECT n.ord, n.seq, n.number, j.state, c.destinations
    FROM numbered n LEFT JOIN judged j ON j.task = n.task LEFT JOIN crowd c ON c.ord = n.ord
    ORDER BY n.ord;
END
$$;

-- The log is never changed; retention may only delete from its old end.
CREATE FUNCTION aftercommit_event_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'event % of workspace % is final', OLD.seq, OLD.workspace_id;
END
$$;
CREATE TRIGGER event_is_final BEFORE UPDATE ON event
    FOR EACH ROW EXECUTE FUNCTION aftercommit_event_is_final();

-- The queue's table: room for updates in place, and vacuumed long before it bloats.
ALTER TABLE delivery SET (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE workspace_head SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);
ALTER TABLE destination_counter SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);
ALTER TABLE process_beat SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);
