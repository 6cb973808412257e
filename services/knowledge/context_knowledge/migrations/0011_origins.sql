-- The index on where deleted items came from counts only where no policy has to be waited for: see 0005_views.
SELECT show('item_versions');
