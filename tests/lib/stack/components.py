"""Files for a sidecar: those of k8s/dapr themselves, with addresses of this machine in the place of the
cluster's. A running sidecar sees a file that is written again and takes the change by itself; it does
so as well when it is restarted."""

import json
import os
import re

from .process import TESTS

MANIFESTS = os.path.join(os.path.dirname(TESTS), "k8s", "dapr")
PUBSUB, STATE, SECRETS = "pubsub-kafka", "statestore-postgres", "kubernetes-secrets"
NAMESPACE = "todo-phasev"
CLUSTER = f"{NAMESPACE}.svc.cluster.local"
KAFKA, REDIS = f"kafka.{CLUSTER}:9092", f"redis.{CLUSTER}:6379"


def write(folder, name, text):
    """At once, so that a sidecar never reads half of it."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"{name}.yaml")
    with open(path + ".new", "w", encoding="utf-8", opener=_private) as f:
        f.write(text)
    os.rename(path + ".new", path)
    return path


def _private(path, flags):
    return os.open(path, flags, 0o600)


def write_component(folder, name, kind, metadata):
    """`kind` is the component's type with its version, as in pubsub.kafka/v1. JSON is YAML too."""
    component_type, version = kind.split("/")
    return write(folder, name, json.dumps({
        "apiVersion": "dapr.io/v1alpha1", "kind": "Component", "metadata": {"name": name},
        "spec": {"type": component_type, "version": version,
                 "metadata": [{"name": k, "value": v} for k, v in metadata.items()]}}, indent=2))


def _set(text, setting, value):
    """A setting of a component; one that the file lacks is put before the others."""
    line = f'    - name: {setting}\n      value: {json.dumps(value)}\n'
    text, count = re.subn(
        rf"    - name: {setting}\n      (value: .*|secretKeyRef:\n        .*\n        .*)\n",
        lambda _: line, text)
    return text if count else text.replace("  metadata:\n    -", f"  metadata:\n{line}    -", 1)


def take(folder, manifest, addresses=None, settings=None, name=None, scoped=True):
    """k8s/dapr/MANIFEST.yaml, written into `folder`, as `name` where two files stand for one
    component. `addresses`: of the cluster -> here. `settings`: of the component, instead of the
    file's. Not `scoped`: for applications of other names than the product's."""
    with open(os.path.join(MANIFESTS, f"{manifest}.yaml"), encoding="utf-8") as f:
        text = f.read()
    for there, here in (addresses or {}).items():
        if there not in text:
            raise ValueError(f"{manifest}.yaml has no {there}")
        text = text.replace(there, here)
    for setting, value in (settings or {}).items():
        text = _set(text, setting, value)
    if not scoped:
        text = re.sub(r"^scopes:\n(  - .*\n)+", "", text, flags=re.M)
    return write(folder, name or manifest, text)


def secret_store(folder, secrets):
    """What the files' secretKeyRef find: {secret: {key: value}}, as in Kubernetes."""
    path = os.path.join(folder, "secrets.json")
    os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8", opener=_private) as f:
        json.dump(secrets, f)
    return write_component(folder, SECRETS, "secretstores.local.file/v1",
                           {"secretsFile": path, "nestedSeparator": ":", "multiValued": "true"})


def pubsub_kafka(folder, brokers, **settings):
    """Without a user, and for applications of any name."""
    take(folder, "resiliency", scoped=False)
    return take(folder, "pubsub-kafka", {KAFKA: brokers},
                {"authType": "none", "saslUsername": "", "saslPassword": "", **settings},
                scoped=False)


def pubsub_redis(folder, address, **settings):
    """The same component on Redis streams: nothing that uses it sees a difference."""
    take(folder, "resiliency", scoped=False)
    return take(folder, "pubsub-redis", {REDIS: address}, {"redisPassword": "", **settings},
                name=PUBSUB, scoped=False)


def state_postgres(folder, connection, **settings):
    """`connection`: a libpq string, as in Postgres.url."""
    return take(folder, "statestore-postgres",
                settings={"connectionString": connection, **settings}, scoped=False)
