-- What comes in bulk waits for what somebody waits for.
ALTER TABLE changes ADD COLUMN bulk boolean NOT NULL DEFAULT false;
