"""A response may be inserted, and erased by a withdrawal; nothing else, whoever asks."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION studies_response_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('budgetstudy.withdrawal', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'responses are append-only: % refused', lower(TG_OP)
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER studies_response_append_only
    BEFORE UPDATE OR DELETE ON studies_response
    FOR EACH ROW EXECUTE FUNCTION studies_response_refuse_change();
"""
ALLOW = """
DROP TRIGGER studies_response_append_only ON studies_response;
DROP FUNCTION studies_response_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("studies", "0001_initial")]
    operations = [migrations.RunSQL(REFUSE, ALLOW)]
