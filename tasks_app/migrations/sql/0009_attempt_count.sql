-- Count attempts as they are written, by destination, time and duration: statistics over a day read
-- a few thousand rows, however many attempts there were. One statement for a whole group of
-- outcomes; who settles holds the heads, so no two count for one destination at once.
CREATE FUNCTION aftercommit_count_attempts() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO attempt_count AS c (destination_id, slot, succeeded, bucket, attempts)
    SELECT d.destination_id,
           date_bin('5 minutes', statement_timestamp(), timestamptz '2020-01-01 00:00:00+00'),
           a.error = '', round(ln(greatest(a.duration_ms, 0.1)) / ln(1.1::double precision)),
           count(*)
    FROM fresh a JOIN delivery d ON d.id = a.delivery_id
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 3, 4
    ON CONFLICT (destination_id, slot, succeeded, bucket)
        DO UPDATE SET attempts = c.attempts + excluded.attempts;
    RETURN NULL;
END
$$;
CREATE TRIGGER attempt_is_counted AFTER INSERT ON attempt
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION aftercommit_count_attempts();
ALTER TABLE attempt_count SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01);
