-- What versions say may have to go for good: personal data, a secret that nobody recognised. `contextctl db erase` blanks
-- it as the table's owner, in a transaction that says so. For everybody else versions only grow, whatever they are granted
-- and whatever they set; lines of the audit trail do for the owner too.
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'item_versions' AND TG_OP = 'UPDATE' AND current_setting('context.erasing', true) = 'on'
        AND pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE')
    THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% only grows', TG_TABLE_NAME;
END $$;
