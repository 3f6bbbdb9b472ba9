-- +goose Up
-- A session of an MQTT client, and the process that holds its connection.
CREATE TABLE device_sessions (
    device_id    TEXT NOT NULL REFERENCES devices (id),
    client_id    TEXT NOT NULL,
    generation   BIGINT NOT NULL,  -- grows with each connection: the highest owns the session
    node         TEXT NOT NULL,    -- the process that holds the connection; '' while there is none
    connected_at BIGINT NOT NULL,
    ttl          BIGINT NOT NULL,  -- microseconds after the end of the connection; 0 ends the session with it
    expires_at   BIGINT,           -- NULL while connected
    filters      TEXT NOT NULL,    -- JSON
    PRIMARY KEY (device_id, client_id)
);

CREATE INDEX device_sessions_node ON device_sessions (node, device_id) WHERE node <> '';
CREATE INDEX device_sessions_expired ON device_sessions (expires_at) WHERE expires_at IS NOT NULL;

-- A process that listens for devices. One whose heartbeat stops has died.
CREATE TABLE device_nodes (
    id        TEXT PRIMARY KEY,
    heartbeat BIGINT NOT NULL
);

-- +goose Down
DROP TABLE device_nodes;
DROP TABLE device_sessions;
