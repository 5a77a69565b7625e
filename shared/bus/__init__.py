"""The connection to NATS JetStream; the only importer of nats."""
