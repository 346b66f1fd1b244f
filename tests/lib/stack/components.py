"""Files of a sidecar's components, by the names that the product knows. A running sidecar sees a file
that is written again and takes the change by itself; it does so as well when it is restarted."""

import json
import os

PUBSUB, STATE = "pubsub-kafka", "statestore-postgres"


def write_component(folder, name, kind, metadata, scopes=()):
    """`kind` is the component's type with its version, as in pubsub.kafka/v1. JSON is YAML too."""
    component_type, version = kind.split("/")
    resource = {
        "apiVersion": "dapr.io/v1alpha1", "kind": "Component", "metadata": {"name": name},
        "spec": {"type": component_type, "version": version,
                 "metadata": [{"name": k, "value": v} for k, v in metadata.items()]}}
    if scopes:
        resource["scopes"] = list(scopes)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"{name}.yaml")
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump(resource, f, indent=2)
    os.rename(path + ".new", path)
    return path


def pubsub_kafka(folder, brokers, name=PUBSUB, **metadata):
    """A group starts with the oldest event, so that none is missed that came before the group."""
    return write_component(folder, name, "pubsub.kafka/v1", {
        "brokers": brokers, "authType": "none", "disableTls": "true", "initialOffset": "oldest",
        "consumeRetryInterval": "100ms", **metadata})


def pubsub_redis(folder, address, name=PUBSUB, **metadata):
    """The same component on Redis streams: nothing that uses it sees a difference."""
    return write_component(folder, name, "pubsub.redis/v1", {
        "redisHost": address, "redisPassword": "", "redeliverInterval": "2s",
        "processingTimeout": "5s", **metadata})


def state_postgres(folder, connection, name=STATE, **metadata):
    """`connection`: a libpq string, as in Postgres.url."""
    return write_component(folder, name, "state.postgresql/v1", {
        "connectionString": connection, "tableName": "dapr_state_store",
        "metadataTableName": "dapr_state_metadata", "cleanupInterval": "1m", **metadata})
