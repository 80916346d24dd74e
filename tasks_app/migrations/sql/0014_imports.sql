-- A file that was compressed once more would only cost time: nobody looks into it, and it is gone
-- within minutes.
ALTER TABLE import_chunk ALTER COLUMN data SET STORAGE EXTERNAL;
-- Written once a step.
ALTER TABLE import_job SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);

-- Let the deliveries of these events go behind all others, as those of replays do: 100,000 rows of
-- a file must not stand before what people do meanwhile. The caller holds the head and has just
-- recorded the events.
CREATE FUNCTION aftercommit_stand_behind(workspace uuid, first bigint, last bigint) RETURNS void
LANGUAGE sql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    UPDATE delivery d SET rank = 3 FROM (
        SELECT x.id FROM destination x
        WHERE x.workspace_id = workspace AND x.deleted_at IS NULL) there
    WHERE d.destination_id = there.id AND d.event_seq BETWEEN first AND last
      AND d.state IN ('waiting', 'pending')
$$;
