-- add_contact
INSERT INTO leadgate.lead_contacts (lead_id, contacted_at, recorded_at, source)
VALUES (%(lead_id)s, %(contacted_at)s, %(recorded_at)s, %(source)s)
ON CONFLICT DO NOTHING
