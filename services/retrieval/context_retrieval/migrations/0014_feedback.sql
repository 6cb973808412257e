-- What those say of an item whom it was shown to, from -1 to 1.
ALTER TABLE documents ADD COLUMN feedback real NOT NULL DEFAULT 0;

SELECT show('documents');
