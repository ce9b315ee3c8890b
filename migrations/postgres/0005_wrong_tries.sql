-- How often a token was presented with other digests than were approved: somebody tries them out.
ALTER TABLE apply_tokens ADD COLUMN wrong_tries BIGINT NOT NULL DEFAULT 0;
