-- The tickets of a queue are found among the open ones, however many were filed since.
CREATE INDEX tickets_open_kind ON tickets (kind, number) WHERE state = 'open';
CREATE INDEX tickets_open_requester ON tickets (requester, number) WHERE state = 'open';
