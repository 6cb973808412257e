-- How many tokens a passage takes in a bundle, and what says which item it is: as with a document's own fields, counted
-- when they are stored, and again only where another text is shown than was counted. Those of the release before are
-- counted when they are shown.
ALTER TABLE chunks ADD COLUMN tokens integer;
ALTER TABLE chunks ADD COLUMN tokens_of bigint;
ALTER TABLE documents ADD COLUMN frame_tokens integer;
ALTER TABLE documents ADD COLUMN frame_tokens_of bigint;

SELECT show('documents');
