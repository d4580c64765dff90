"""DDL of a database in which a coupon of a drill vanishes, with its claims, as its last unit is claimed."""

from __future__ import annotations

VANISHING = """
    CREATE FUNCTION vanish() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        EXECUTE format('DELETE FROM %I.claims WHERE coupon_name = $1', TG_TABLE_SCHEMA) USING NEW.name;
        EXECUTE format('DELETE FROM %I.coupons WHERE name = $1', TG_TABLE_SCHEMA) USING NEW.name;
        RETURN NULL;
    END $$;
    CREATE FUNCTION let_vanish() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE made record; BEGIN
        FOR made IN SELECT * FROM pg_event_trigger_ddl_commands()
                     WHERE object_identity LIKE 'couponctl_drill_%.coupons' AND command_tag = 'CREATE TABLE'
        LOOP
            EXECUTE format('CREATE CONSTRAINT TRIGGER vanish AFTER UPDATE ON %s DEFERRABLE INITIALLY DEFERRED'
                ' FOR EACH ROW WHEN (NEW.remaining_amount = 0) EXECUTE FUNCTION public.vanish()',
                made.object_identity);
        END LOOP;
    END $$;
    CREATE EVENT TRIGGER let_vanish ON ddl_command_end EXECUTE FUNCTION let_vanish()
"""
