-- hub.db: what waits for the merge, or stopped it: few rows of a table that only grows.
CREATE INDEX held_open ON held(node, app, seq) WHERE merged_at IS NULL;
