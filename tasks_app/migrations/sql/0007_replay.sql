-- Replays: events of the past, queued once more for one destination, a step at a time. Plans are
-- pinned as in 0007_chains.sql, and for the same reason.

-- Replay: it walks the log, and takes a task with all its chosen events where it meets the first
-- of them. So they stand in the queue together, and no change that is made meanwhile comes between.
CREATE FUNCTION aftercommit_replay_firsts(job replay, kinds text[], until bigint)
RETURNS TABLE (seq bigint, task_id uuid) LANGUAGE sql STABLE AS $$
    SELECT f.seq, f.task_id FROM event f
    WHERE f.workspace_id = job.workspace_id AND f.seq > job.cursor AND f.seq <= until
      AND f.type = ANY (kinds) AND f.task_id IS NOT NULL
      AND (job.events IS NULL OR f.seq = ANY (job.events))
      AND NOT EXISTS (
          SELECT 1 FROM event p
          WHERE p.task_id = f.task_id AND p.seq >= job.from_seq AND p.seq < f.seq
            AND p.type = ANY (kinds) AND (job.events IS NULL OR p.seq = ANY (job.events))
          ORDER BY p.seq OFFSET 0)
    ORDER BY f.seq
$$;

-- The chosen events of one task, each with its newest delivery to the destination: one with an end,
-- one that is under way (which is left alone), or none (it was not there yet, or did not want it).
-- A destination of mode latest gets the newest of them, unless a newer one still is under way.
CREATE FUNCTION aftercommit_replay_chosen(job replay, kinds text[], task uuid, first bigint)
RETURNS TABLE (seq bigint, type text, newest uuid, message_id uuid, under_way boolean)
LANGUAGE sql STABLE AS $$
    SELECT m.seq, m.type::text, n.id, n.message_id,
           coalesce(n.state IN ('waiting', 'pending', 'leased'), false)
           OR x.mode = 'latest' AND EXISTS (
               SELECT 1 FROM delivery o
               WHERE o.destination_id = job.destination_id AND o.task_id BETWEEN task AND task
                 AND o.state IN ('waiting', 'pending', 'leased') AND o.event_seq > m.seq
               ORDER BY o.task_id, o.sequence OFFSET 0)
    FROM (
        SELECT m.seq, m.type, m.at FROM event m
        WHERE m.task_id = task AND m.seq BETWEEN first AND job.to_seq AND m.type = ANY (kinds)
        ORDER BY m.seq DESC OFFSET 0) m
    JOIN destination x ON x.id = job.destination_id
    LEFT JOIN LATERAL (
        SELECT n.id, n.message_id, n.state FROM delivery n
        WHERE n.destination_id = job.destination_id AND n.event_seq BETWEEN m.seq AND m.seq
        ORDER BY n.event_seq DESC, n.sequence DESC LIMIT 1) n ON true
    WHERE (job.events IS NULL OR m.seq = ANY (job.events))
      AND (job.from_time IS NULL OR m.at >= job.from_time)
      AND (job.to_time IS NULL OR m.at <= job.to_time)
      AND CASE
          WHEN cardinality(job.states) > 0 THEN n.state = ANY (job.states)
          WHEN n.id IS NULL THEN
              job.events IS NOT NULL OR x.events && ARRAY['*', m.type]::varchar[]
          ELSE true END
    ORDER BY m.seq DESC
    LIMIT CASE (SELECT d.mode FROM destination d WHERE d.id = job.destination_id)
        WHEN 'latest' THEN 1 END
$$;

-- How far one look at the log reaches.
CREATE FUNCTION aftercommit_replay_reach(job replay, look integer) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN job.events IS NULL THEN least(job.cursor + look, job.to_seq)
        ELSE coalesce((SELECT max(l.seq) FROM (
            SELECT e.seq FROM unnest(job.events) e(seq) WHERE e.seq > job.cursor
            ORDER BY e.seq LIMIT look) l), job.to_seq) END
$$;

-- Counts without doing anything: a part of the log at a time. `longest`: of one task.
CREATE FUNCTION aftercommit_replay_count(job replay, kinds text[], look integer)
RETURNS TABLE (reached bigint, chosen bigint, under_way bigint, longest bigint)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    until CONSTANT bigint := aftercommit_replay_reach(job, look);
BEGIN
    RETURN QUERY
    SELECT until, coalesce(sum(n.chosen), 0)::bigint, coalesce(sum(n.under_way), 0)::bigint,
           coalesce(max(n.chosen), 0)
    FROM aftercommit_replay_firsts(job, kinds, until) f
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE NOT c.under_way) AS chosen,
               count(*) FILTER (WHERE c.under_way) AS under_way
        FROM aftercommit_replay_chosen(job, kinds, f.task_id, f.seq) c) n;
END
$$;

-- One step: about `most` deliveries (a task goes in whole, up to `longest`; at a longer one it
-- stops and says so in the row's `reason`), while fewer than `room` of the job's
-- have not been tried yet and no slot of its rate lies more than `ahead` seconds off. Moves the
-- cursor and the counts; returns each task's first new delivery. The caller holds the job's row
-- and the head.
CREATE FUNCTION aftercommit_replay_step(
    job_id uuid, kinds text[], look integer, most integer, room integer, ahead double precision,
    longest integer)
RETURNS SETOF delivery LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    moment CONSTANT timestamptz := statement_timestamp();
    job replay;
    until bigint;
    slot timestamptz;
    pace interval := '0';
    batch integer := 50;  -- tasks in one statement
    last bigint;  -- webhook-sequence
    chain uuid;
    is_chained boolean;
    untried integer;
    done integer := 0;
    step record;
    firsts uuid[] := '{}';
    news uuid[] := '{}';
BEGIN
    SELECT * INTO STRICT job FROM replay WHERE id = job_id;
    SELECT count(*) INTO untried FROM (
        SELECT 1 FROM delivery d
        WHERE d.replay BETWEEN job_id::text AND job_id::text AND d.replay > ''
          AND d.destination_id = job.destination_id AND d.rank = 3
          AND d.state IN ('waiting', 'pending', 'leased') ORDER BY d.replay LIMIT room) u;
    most := least(most, room - untried);
    slot := greatest(job.next_at, moment);
    IF job.rate IS NOT NULL THEN
        pace := make_interval(secs => 1.0 / job.rate);
        batch := least(batch, greatest(1, job.rate / 4));
    END IF;
    batch := least(batch, most);
    SELECT c.sequence INTO STRICT last FROM destination_counter c
        WHERE c.destination_id = job.destination_id FOR UPDATE;
    SELECT x.after, EXISTS (SELECT 1 FROM destination f
        WHERE f.workspace_id = x.workspace_id AND f.after = x.id) INTO STRICT chain, is_chained
        FROM destination x WHERE x.id = job.destination_id;
    until := aftercommit_replay_reach(job, look);
    WHILE job.cursor < until AND done < most
          AND slot <= moment + make_interval(secs => ahead) LOOP
        WITH first AS MATERIALIZED (
            SELECT * FROM aftercommit_replay_firsts(job, kinds, until) LIMIT batch
        ), counted AS MATERIALIZED (
            SELECT f.seq, f.task_id, row_number() OVER (ORDER BY f.seq) AS place,
                   sum(n.events) OVER (ORDER BY f.seq) AS events
            FROM first f CROSS JOIN LATERAL (
                SELECT count(*) AS events FROM (
                    SELECT 1 FROM event m
                    WHERE m.task_id = f.task_id AND m.seq BETWEEN f.seq AND job.to_seq
                      AND (job.events IS NULL OR m.seq = ANY (job.events))
                    ORDER BY m.seq LIMIT most + 1) m) n
        ), task AS MATERIALIZED (
            -- Several at once, or one that is longer alone.
            SELECT c.seq, c.task_id FROM counted c WHERE c.place = 1 OR c.events <= most
        ), chosen AS MATERIALIZED (
            SELECT t.task_id, c.*, aftercommit_uuid7() AS id FROM task t
            CROSS JOIN LATERAL aftercommit_replay_chosen(job, kinds, t.task_id, t.seq) c
        ), numbered AS MATERIALIZED (
            SELECT c.*, row_number() OVER (ORDER BY c.seq) AS nth,
                row_number() OVER (PARTITION BY c.task_id ORDER BY c.seq) AS place,
                -- Only what is under way holds a replay up: what became of the rest, a person knows.
                (SELECT p.id FROM (
                     SELECT p.id, p.state FROM delivery p
                     WHERE p.destination_id = chain AND p.event_seq BETWEEN c.seq AND c.seq
                     ORDER BY p.event_seq DESC, p.sequence DESC LIMIT 1) p
                 WHERE p.state IN ('waiting', 'pending', 'leased')) AS behind
            FROM chosen c WHERE NOT c.under_way AND (
                SELECT count(*) FROM chosen l WHERE NOT l.under_way) <= greatest(most, longest)
        ), queued AS (
            INSERT INTO delivery (
                id, workspace_id, destination_id, event_seq, event_type, task_id, message_id,
                sequence, state, rank, next_attempt_at, attempts, failures, leases, leased_by,
                error, created_at, behind, replay)
            SELECT n.id, job.workspace_id, job.destination_id, n.seq, n.type, n.task_id,
                   coalesce(n.message_id, n.id), last + n.nth,
                   CASE WHEN n.place > 1 OR n.behind IS NOT NULL OR EXISTS (
                       SELECT 1 FROM delivery o
                       WHERE o.destination_id = job.destination_id
                         AND o.task_id BETWEEN n.task_id AND n.task_id
                         AND o.state IN ('waiting', 'pending', 'leased')
                       ORDER BY o.task_id, o.sequence OFFSET 0)
                   THEN 'waiting' ELSE 'pending' END,
                   3, slot + (n.nth - 1) * pace, 0, 0, 0, '', '', moment, n.behind, job.id::text
            FROM numbered n
        ), rechained AS (
            -- What broke with the old delivery comes behind the new one.
            UPDATE delivery d SET behind = n.id FROM numbered n
            CROSS JOIN LATERAL aftercommit_followers(ARRAY[n.newest]) f
            WHERE is_chained AND d.id = f.id AND d.state = 'cancelled'
              AND d.error = 'chain_broken'
            RETURNING d.behind
        )
        SELECT (SELECT count(*) FROM first) AS firsts_seen, (SELECT count(*) FROM task) AS tasks,
               (SELECT max(t.seq) FROM task t) AS reached,
               (SELECT count(*) FROM chosen c WHERE NOT c.under_way) AS wanted,
               (SELECT count(*) FROM numbered) AS made,
               (SELECT count(*) FROM chosen c WHERE c.under_way) AS skipped,
               ARRAY(SELECT n.id FROM numbered n WHERE n.place = 1) AS firsts,
               ARRAY(SELECT r.behind FROM rechained r) AS news
            INTO step;
        IF step.made < step.wanted THEN
            UPDATE replay r SET reason = 'task_too_long' WHERE r.id = job_id;
            EXIT;
        END IF;
        job.cursor := CASE WHEN step.tasks = step.firsts_seen AND step.firsts_seen < batch
            THEN until ELSE step.reached END;
        job.skipped := job.skipped + step.skipped;
        done := done + step.made;
        last := last + step.made;
        slot := slot + step.made * pace;
        firsts := firsts || step.firsts;
        news := news || step.news;
    END LOOP;
    PERFORM aftercommit_mend_chains(news, job.id::text);
    UPDATE destination_counter c SET sequence = last WHERE c.destination_id = job.destination_id;
    UPDATE replay r SET cursor = job.cursor, made = r.made + done, skipped = job.skipped,
        next_at = CASE WHEN r.rate IS NULL THEN NULL ELSE slot END
    WHERE r.id = job_id;
    RETURN QUERY SELECT d.* FROM unnest(firsts) f(id) JOIN delivery d ON d.id = f.id;
END
$$;
