-- Who has read which file, and how: marked as read, or downloaded.
CREATE TABLE readings (
    artifact_id BLOB NOT NULL REFERENCES artifacts (id),
    user_id BLOB NOT NULL REFERENCES users (id),
    person_id BLOB NOT NULL,
    how TEXT NOT NULL CHECK (how IN ('downloaded', 'read')),
    at INTEGER NOT NULL,
    PRIMARY KEY (artifact_id, user_id, how)
) STRICT;
