-- One account an address, whatever its case: a link that goes there must lead to one person.
CREATE UNIQUE INDEX user_email_once ON auth_user (lower(email)) WHERE email <> '';

-- One account a name, whatever its case: people read names, and cannot tell olga from Olga.
CREATE UNIQUE INDEX user_name_once ON auth_user (lower(username));

-- A workspace has an owner who may enter, whoever changes its members and however: checked at the end of the
-- transaction, with the workspace's row locked, so that of two owners who leave at once the
-- second sees that the first has gone. What is deleted needs none.
CREATE FUNCTION aftercommit_workspace_has_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM workspace w
        WHERE w.id = OLD.workspace_id AND w.deleted_at IS NULL FOR NO KEY UPDATE;
    IF FOUND AND NOT EXISTS (
            SELECT 1 FROM membership m JOIN auth_user u ON u.id = m.user_id AND u.is_active
            WHERE m.workspace_id = OLD.workspace_id AND m.role = 'owner') THEN
        RAISE EXCEPTION 'workspace % would have no owner', OLD.workspace_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'workspace_has_owner';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER workspace_has_owner AFTER UPDATE OR DELETE ON membership
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.role = 'owner')
    EXECUTE FUNCTION aftercommit_workspace_has_owner();
