-- How many tokens an item's own fields take in a bundle, so that no question has to count them; and the checksum of the
-- text that was counted: where another is shown, of another release or written by it, that is counted for itself.
ALTER TABLE documents ADD COLUMN tokens integer;
ALTER TABLE documents ADD COLUMN tokens_of bigint;

-- Passages that fit into a page stay in their rows, and are not packed: a question reads ten of them and more.
ALTER TABLE chunks SET (toast_tuple_target = 4096);

SELECT show('documents');
