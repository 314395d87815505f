-- hub.db: is anything of an office still good? Asked of every office on the first screen; the table grows with each renewal.
CREATE INDEX cert_node ON cert(node, app, revoked_at);
