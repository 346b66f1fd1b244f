"""Files of a sidecar's components, by the names that the product knows. A running sidecar sees a file
that is written again and takes the change by itself; it does so as well when it is restarted."""

import json
import os

PUBSUB, STATE = "pubsub-kafka", "statestore-postgres"


def write_resource(folder, name, resource):
    """JSON is YAML too."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"{name}.yaml")
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump(resource, f, indent=2)
    os.rename(path + ".new", path)
    return path


def write_component(folder, name, kind, metadata, scopes=()):
    """`kind` is the component's type with its version, as in pubsub.kafka/v1."""
    component_type, version = kind.split("/")
    resource = {
        "apiVersion": "dapr.io/v1alpha1", "kind": "Component", "metadata": {"name": name},
        "spec": {"type": component_type, "version": version,
                 "metadata": [{"name": k, "value": v} for k, v in metadata.items()]}}
    if scopes:
        resource["scopes"] = list(scopes)
    return write_resource(folder, name, resource)


def keep_deliveries(folder, name=PUBSUB):
    """Without it an event that its application gives back is gone with Redis: pubsub.redis of Dapr
    1.18 acknowledges to Redis whatever the application answered. The sidecar then holds it and
    delivers it again until it is taken. See docs/dapr.md."""
    return write_resource(folder, f"{name}-resiliency", {
        "apiVersion": "dapr.io/v1alpha1", "kind": "Resiliency",
        "metadata": {"name": f"{name}-resiliency"},
        "spec": {"policies": {"retries": {"until-taken": {
            "policy": "constant", "duration": "200ms", "maxRetries": -1}}},
                 "targets": {"components": {name: {"inbound": {"retry": "until-taken"}}}}}})


def pubsub_kafka(folder, brokers, name=PUBSUB, **metadata):
    """A group starts with the oldest event, so that none is missed that came before the group."""
    keep_deliveries(folder, name)
    return write_component(folder, name, "pubsub.kafka/v1", {
        "brokers": brokers, "authType": "none", "disableTls": "true", "initialOffset": "oldest",
        "consumeRetryInterval": "200ms", "backOffDuration": "200ms", "backOffMaxRetries": "-1",
        "sessionTimeout": "6s", "heartbeatInterval": "2s", **metadata})


def pubsub_redis(folder, address, name=PUBSUB, **metadata):
    """The same component on Redis streams: nothing that uses it sees a difference. One event at a
    time, so that those of a task stay in order; of a sidecar that died at most three are claimed
    again. redeliverInterval is in ms: daprd 1.18 does not understand "500ms" there."""
    keep_deliveries(folder, name)
    return write_component(folder, name, "pubsub.redis/v1", {
        "redisHost": address, "redisPassword": "", "concurrency": "1", "queueDepth": "1",
        "redeliverInterval": "500", "processingTimeout": "3000", **metadata})


def state_postgres(folder, connection, name=STATE, **metadata):
    """`connection`: a libpq string, as in Postgres.url."""
    return write_component(folder, name, "state.postgresql/v1", {
        "connectionString": connection, "tableName": "dapr_state_store",
        "metadataTableName": "dapr_state_metadata", "cleanupInterval": "1m", **metadata})
