"""The checks of validate-dapr-deployment, in the order in which one leans on the other. A check takes a
site and returns what it found, or raises a Failure with what is wrong and what to do."""

import datetime
import json
import uuid
from dataclasses import dataclass
from typing import Callable

from .names import (APPS, EMAIL, JOB, NOTIFICATION, PUBSUB, STATE,
                    SUBSCRIPTIONS)
from .report import Failure

TABLES = {"tableName": "dapr_state_store", "metadataTableName": "dapr_state_metadata"}
WAITS_MAX_S = 60


@dataclass
class Check:
    name: str
    why: str
    run: Callable


def control_plane(site):
    parts = site.control_plane()
    down = [f"{name} ({state})" for name, state in parts.items() if state != "ready"]
    if down:
        raise Failure(f"not ready: {', '.join(down)}",
                      site.words(cluster="kubectl -n dapr-system get pods; setup-dapr installs it",
                                 local="./todo stack up"))
    return ", ".join(parts)


def secrets(site):
    missing = site.missing_secrets()
    if missing:
        raise Failure(f"missing: {', '.join(missing)}",
                      "setup-dapr makes the tokens, and takes the others from its environment")
    return "all keys are there"


def named(site, kind, name):
    for resource in site.resources(kind):
        if resource["metadata"]["name"] == name:
            return resource
    raise Failure(f"there is no {kind} {name}", "setup-dapr makes it of the files of k8s/dapr")


def settings_of(component):
    return {item["name"]: item.get("value") for item in component["spec"].get("metadata", [])}


def broker_of(site):
    """kafka or redis"""
    return named(site, "component", PUBSUB)["spec"]["type"].split(".")[1]


def components(site):
    pubsub, state = (named(site, "component", name) for name in (PUBSUB, STATE))
    for component, kinds in ((pubsub, ("pubsub.kafka", "pubsub.redis")),
                             (state, ("state.postgresql",))):
        if component["spec"]["type"] not in kinds:
            raise Failure(f"{component['metadata']['name']} is a {component['spec']['type']}",
                          f"it has to be {' or '.join(kinds)}: setup-dapr")
    for setting, table in TABLES.items():
        if settings_of(state).get(setting) != table:
            raise Failure(f"{STATE} keeps its rows in {settings_of(state).get(setting)}, "
                          f"not in {table}", f"set {setting} in k8s/dapr/statestore-postgres.yaml")
    for component, wanted in ((pubsub, APPS), (state, (NOTIFICATION, EMAIL))):
        out = [app for app in wanted if app not in component.get("scopes", wanted)]
        if out:
            raise Failure(f"{component['metadata']['name']} is not for {', '.join(out)}",
                          "add them to its scopes")
    return f"{PUBSUB} is {pubsub['spec']['type']}, {STATE} is {state['spec']['type']}"


def resiliency(site):
    for resource in site.resources("resiliency"):
        policy = resource["spec"].get("targets", {}).get("components", {}).get(PUBSUB, {})
        retry = policy.get("inbound", {}).get("retry")
        retries = resource["spec"].get("policies", {}).get("retries", {}).get(retry)
        if retries:
            break
    else:
        raise Failure(f"no Resiliency has a retry for what {PUBSUB} delivers",
                      "kubectl apply -f k8s/dapr/resiliency.yaml, then restart the pods")
    if retries.get("maxRetries") != -1:
        raise Failure(f"deliveries are given up after {retries.get('maxRetries')} tries",
                      "maxRetries has to be -1: an application that is down is no fault of an event")
    topics = [s["metadata"]["name"] for s in site.resources("subscription")
              if s["spec"].get("deadLetterTopic")]
    if topics:
        raise Failure(f"a deadLetterTopic stands in {', '.join(topics)}",
                      "remove it: it swallows events while an application is down (docs/dapr.md)")
    return f"{retry} without end, no dead letter topic"


def programs(site):
    short, counts = [], []
    for app_id in APPS:
        wanted, ready = site.replicas(app_id)
        counts.append(f"{app_id} {ready}/{wanted}")
        if ready < max(1, wanted):
            short.append(f"{app_id} has {ready} of {wanted} replicas ready")
    if short:
        raise Failure("; ".join(short),
                      site.words(cluster="kubectl describe pods and kubectl logs tell why",
                                 local="./todo stack logs; ./todo stack up --programs"))
    return ", ".join(counts)


def settings(site):
    wrong = []
    for app_id in APPS:
        values = site.settings(app_id)
        wanted = {"USE_DAPR": "true", "PUBSUB_NAME": PUBSUB, "STATE_STORE_NAME": STATE}
        for name, value in wanted.items():
            found = values.get(name, "false" if name == "USE_DAPR" else value)
            if found != value:
                wrong.append(f"{app_id}: {name} is {found}, not {value}")
    if wrong:
        raise Failure("; ".join(wrong), "setup-dapr --enable")
    return "USE_DAPR=true everywhere"


def each_pod(site):
    """Each pod that runs, with its app id."""
    found = [(app_id, pod) for app_id in APPS for pod in site.pods(app_id)]
    lonely = [pod.name for _, pod in found if not pod.has_sidecar]
    missing = [app_id for app_id in APPS if app_id not in dict(found)]
    if missing or lonely:
        raise Failure("; ".join([f"{app_id} has no pod" for app_id in missing]
                                + [f"{name} has no sidecar" for name in lonely]),
                      "setup-dapr --enable; is Dapr's injector ready?")
    return found


def sidecars(site):
    versions, ill = {}, []
    for _, pod in each_pod(site):
        with pod.sidecar() as web:
            status, answer = web.get("/v1.0/healthz/outbound")
            if status != 204:
                ill.append(f"{pod.name}: {status or 'no answer'} {answer or ''}".rstrip())
                continue
            found = web.want("GET", "/v1.0/metadata").get("runtimeVersion")
            versions.setdefault(found, []).append(pod.name)
    if ill:
        raise Failure(f"not healthy: {'; '.join(ill)}",
                      "the log of the container daprd says which component it waits for")
    if len(versions) > 1:
        raise Failure(f"several versions: {versions}", "restart what has the older one")
    return f"{sum(map(len, versions.values()))} sidecars, version {', '.join(versions)}"


def first_pod(site, app_id):
    pods = site.pods(app_id)
    if not pods:
        raise Failure(f"{app_id} has no pod", "is it deployed, and what says kubectl describe pod?")
    return pods[0]


def metadata_of(site, app_id):
    with first_pod(site, app_id).sidecar() as web:
        return web.want("GET", "/v1.0/metadata")


def loaded(site):
    kind = named(site, "component", PUBSUB)["spec"]["type"]
    wrong = []
    for app_id in APPS:
        found = {c["name"]: c["type"] for c in metadata_of(site, app_id).get("components", [])}
        wanted = {PUBSUB: kind} | ({STATE: "state.postgresql"} if app_id in (NOTIFICATION, EMAIL)
                                   else {})
        wrong += [f"{app_id} has {found.get(name, 'nothing')} as {name}, not {value}"
                  for name, value in wanted.items() if found.get(name) != value]
    if wrong:
        raise Failure("; ".join(wrong), "restart its pods; the sidecar's log names a component "
                                        "that it could not load")
    return f"each sidecar has {kind}"


def subscriptions(site):
    for app_id, (topic, route) in SUBSCRIPTIONS.items():
        for found in metadata_of(site, app_id).get("subscriptions") or []:
            rules = found.get("rules") or []
            paths = [rule.get("path") for rule in rules]
            if (found["pubsubname"], found["topic"]) == (PUBSUB, topic) and route in paths:
                break
        else:
            raise Failure(f"the sidecar of {app_id} delivers nothing of {topic} to {route}",
                          "it asks its application once, at its start: is the application up and "
                          "is APP_API_TOKEN the same for both? Then restart the pod")
    return ", ".join(f"{topic} to {app_id}" for app_id, (topic, _) in SUBSCRIPTIONS.items())


def tokens(site):
    """No call without the token: neither to the sidecar nor from it."""
    for _, pod in each_pod(site):
        with pod.sidecar() as web:
            status, _ = web.get("/v1.0/metadata", headers={"dapr-api-token": ""})
        if status != 401:
            raise Failure(f"the sidecar of {pod.name} answers {status or 'nothing'} to a call "
                          "without a token", "DAPR_API_TOKEN: the Secret dapr-api-token")
    for app_id, (_, route) in SUBSCRIPTIONS.items():
        for pod in site.pods(app_id):
            with pod.app() as web:
                status, _ = web.ask("POST", route, {})
            if status not in (401, 403):
                raise Failure(f"{pod.name} answers {status or 'nothing'} to a delivery without a "
                              "token", "APP_API_TOKEN: the Secret app-api-token")
    return "both sides refuse who has none"


def state(site):
    pod = first_pod(site, NOTIFICATION)
    key, path = f"validate:{uuid.uuid4()}", f"/v1.0/state/{STATE}"
    with pod.sidecar() as web:
        web.want("POST", path, [{"key": key, "value": key, "metadata": {"ttlInSeconds": "60"}}])
        found = web.want("GET", f"{path}/{key}")
        web.want("DELETE", f"{path}/{key}")
    if found != key:
        raise Failure(f"what was written came back as {found}", "see the sidecar's log")
    return "written, read, deleted"


def job(site):
    with first_pod(site, NOTIFICATION).sidecar() as web:
        status, answer = web.get(f"/v1.0-alpha1/jobs/{JOB}")
    if status != 200:
        raise Failure(f"the scheduler knows no job {JOB}: {status or 'no answer'} {answer}",
                      "todo-notification registers it at its start: see its log, and whether the "
                      "scheduler is ready")
    return f"{JOB} {answer.get('schedule', '')}"


def age_of_oldest(status):
    """Seconds, of what `todo-mcp outbox status --json` says."""
    times = [topic["oldest"] for topic in status["topics"] if topic.get("oldest")]
    if not times:
        return 0.0
    oldest = min(datetime.datetime.fromisoformat(t.replace("Z", "+00:00")) for t in times)
    return (datetime.datetime.now(datetime.timezone.utc) - oldest).total_seconds()


def events(site):
    """The relay's view: events leave, through the broker that the component names."""
    status = json.loads(site.todo_mcp("outbox", "status", "--json"))
    parked = sum(topic["parked"] for topic in status["topics"])
    waiting = sum(topic["unpublished"] for topic in status["topics"])
    if not status["has_leader"]:
        raise Failure("no relay leads, so that no event leaves", "is a todo-mcp up, with RELAY on?")
    if parked:
        raise Failure(f"{parked} events are parked", "todo-mcp outbox parked says why")
    old = age_of_oldest(status)
    if old > WAITS_MAX_S:
        raise Failure(f"{waiting} events wait, the oldest for {old:.0f} s",
                      "the log of todo-mcp says what the sidecar answers")
    wanted = f"pubsub.{broker_of(site)}"
    if status["broker"] and wanted not in status["broker"]:
        raise Failure(f"the relay published last through {status['broker']}, not {wanted}",
                      "setup-dapr --enable, then restart the backend's pods")
    return f"{waiting} wait; last through {status['broker'] or 'none yet'}"


def dead_letters(site):
    letters = json.loads(site.todo_mcp("dlq", "list", "--json"))["dead_letters"]
    if letters:
        first = letters[0]
        raise Failure(f"{len(letters)} dead letters, the first of {first['consumer']}: "
                      f"{first['reason']}", "mend the cause, then todo-mcp dlq replay ID")
    return "none"


def memory(site):
    sizes = {pod.name: pod.sidecar_bytes() for _, pod in each_pod(site)}
    limit = site.sidecar_bytes_max
    for name, size in sizes.items():
        if size > limit:
            raise Failure(f"the sidecar of {name} has {size >> 20} MB of {limit >> 20}",
                          "over its limit it is killed: a trigger of the rollback (runbook)")
    return f"at most {max(sizes.values()) >> 20} MB of {limit >> 20}"


CHECKS = [
    Check("control-plane", "without it no pod gets a sidecar and no job runs", control_plane),
    Check("secrets", "components and sidecars take passwords and tokens from them", secrets),
    Check("components", "the names, types and scopes that the programs ask for", components),
    Check("resiliency", "without it an event that an application gives back is lost", resiliency),
    Check("programs", "each replica of the four programs is ready", programs),
    Check("settings", "the programs are told to use Dapr, and these components", settings),
    Check("sidecars", "each pod has one that can publish and keep state", sidecars),
    Check("loaded", "a component that a sidecar could not load is not there for it", loaded),
    Check("subscriptions", "what is not subscribed is not delivered", subscriptions),
    Check("tokens", "whoever reaches a port must not be able to publish or deliver", tokens),
    Check("state", "leases of mails and the last look of the reminders are kept there", state),
    Check("job", "the net under the reminders: it runs every few seconds", job),
    Check("events", "events leave the outbox, through the broker that is meant", events),
    Check("dead-letters", "what a consumer could not use waits for a person", dead_letters),
    Check("memory", "a sidecar over its limit is killed, and its deliveries wait", memory),
]
