-- Who has read which file, and how: marked as read, or downloaded.
CREATE TABLE readings (
    artifact_id UUID NOT NULL REFERENCES artifacts (id),
    user_id UUID NOT NULL REFERENCES users (id),
    person_id UUID NOT NULL,
    how TEXT NOT NULL CHECK (how IN ('downloaded', 'read')),
    at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (artifact_id, user_id, how)
);
