-- hub.db: what a list of revoked certificates names: serial number (hex) and the issuing authority's common name.
ALTER TABLE cert ADD COLUMN serial TEXT;
ALTER TABLE cert ADD COLUMN issuer TEXT;
ALTER TABLE person ADD COLUMN serial TEXT;
ALTER TABLE person ADD COLUMN issuer TEXT;
