-- add_contact
INSERT INTO leadgate.lead_contacts (lead_id, contacted_at, recorded_at, source)
VALUES (%(lead_id)s, %(contacted_at)s, %(recorded_at)s, %(source)s)
ON CONFLICT DO NOTHING

-- contacts_of
SELECT lead_id, contacted_at, source
FROM leadgate.lead_contacts
WHERE lead_id = %(lead_id)s
ORDER BY contacted_at DESC
LIMIT %(most)s

-- contacted_among
SELECT DISTINCT lead_id
FROM leadgate.lead_contacts
WHERE lead_id = ANY(%(lead_ids)s) AND recorded_at <= %(until)s
