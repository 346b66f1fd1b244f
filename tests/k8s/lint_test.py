#!/usr/bin/env python3
"""What the chart renders under the eyes of kube-score, with all of its checks, and of rules that it has
not. A finding is mended or explained here, and an explanation that nothing needs any more is a fault."""

import fnmatch
import json
import subprocess
import unittest

from chart import ALL_ON, CHART, VALUES, manifest, of_kind, part, parse, pods_of

# (check, object, what it says): why it stays.
EXPLAINED = {
    ("container-resources", "*", "CPU limit is not set"):
        "a CPU limit makes calls wait while the node is idle; requests share a busy one fairly",
    ("container-cpu-requests-equal-limits", "*", "*"): "no CPU limit",
    ("container-memory-requests-equal-limits", "*", "*"):
        "the request is what a program is measured to use, the limit is where it is at fault",
    ("container-resource-requests-equal-limits", "*", "*"): "the two above",
    ("container-ephemeral-storage-request-equals-limit", "*", "*"): "as with memory",
    ("container-image-pull-policy", "*", "*"):
        "the tag is a version that is never pushed twice, and a Pod starts while the registry is down",
    ("deployment-has-host-podantiaffinity", "*", "*"):
        "topologySpreadConstraints over zones and hosts say it, which this check does not read",
    ("container-security-context-user-group-id", "StatefulSet/todo-app-postgresql", "*"):
        "999 is the user that owns the files in the official image",
    ("deployment-replicas", "Deployment/todo-app-*", "Deployment few replicas"):
        "values-dev.yaml asks for one; with KEDA it is the ScaledObject that counts",
    ("deployment-has-poddisruptionbudget", "Deployment/todo-app-*", "*"):
        "values-dev.yaml: of one replica none can be kept while its node is drained",
}


def cases():
    """(what is on, rendered text) of each file of values, as it is and with all on."""
    for values in VALUES:
        for more in ((), ALL_ON):
            yield f"{values} {'all on' if more else ''}", manifest("--values", f"{CHART}/{values}", *more)


def findings(text):
    done = subprocess.run([part("kube-score"), "score", "--kubernetes-version", "v1.34",
                           "--all-default-optional", "--output-format", "json", "-"], check=False,
                          input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    scored = json.loads(done.stdout)
    for o in scored:
        who = f"{o['type_meta']['kind']}/{o['object_meta']['name']}"
        for check in o["checks"]:
            if check["grade"] < 10 and not check["skipped"]:
                for comment in check["comments"]:
                    yield check["check"]["id"], who, comment["summary"]


def is_subset(selector, labels):
    return selector.items() <= labels.items()


class Rules:
    """One method a rule; each yields what breaks it."""

    def __init__(self, objects):
        self.objects, self.pods = objects, pods_of(objects)

    def kinds(self, kind):
        return of_kind(self.objects, kind).items()

    def matched(self, selector):
        return [name for name, pod in self.pods.items()
                if is_subset(selector, pod["metadata"]["labels"])]

    def containers(self):
        for name, pod in self.pods.items():
            for container in pod["spec"]["containers"]:
                yield name, container

    def a_selector_selects(self):
        for kind, where in (("Service", ("selector",)),
                            ("PodDisruptionBudget", ("selector", "matchLabels")),
                            ("NetworkPolicy", ("podSelector", "matchLabels"))):
            for name, o in self.kinds(kind):
                selector = o["spec"]
                for key in where:
                    selector = selector[key]
                if len(self.matched(selector)) != 1:
                    yield f"{kind}/{name} selects {self.matched(selector)}"

    def a_policys_peers_exist(self):
        for name, o in self.kinds("NetworkPolicy"):
            for rule in o["spec"].get("ingress", []) + o["spec"].get("egress", []):
                for peer in rule.get("from", []) + rule.get("to", []):
                    if "podSelector" in peer and not self.matched(
                            peer["podSelector"].get("matchLabels", {})):
                        yield f"{name}: {peer}"

    def a_policy_of_ingress_has_no_empty_peer(self):
        for name, o in self.kinds("NetworkPolicy"):
            for rule in o["spec"].get("ingress", []):
                if "from" in rule and not rule["from"]:
                    yield f"{name}: {rule} is open to all"

    def what_is_scaled_exists(self):
        for kind in ("HorizontalPodAutoscaler", "ScaledObject"):
            for name, o in self.kinds(kind):
                target = o["spec"]["scaleTargetRef"]["name"]
                deployment = of_kind(self.objects, "Deployment").get(target)
                if not deployment or "replicas" in deployment["spec"]:
                    yield f"{kind}/{name}: {target}"

    def a_budget_leaves_room_for_a_drain(self):
        scaled = {o["spec"]["scaleTargetRef"]["name"]: o["spec"].get(
                      "minReplicas", o["spec"].get("minReplicaCount"))
                  for kind in ("HorizontalPodAutoscaler", "ScaledObject") for _, o in self.kinds(kind)}
        for name, o in self.kinds("PodDisruptionBudget"):
            count = of_kind(self.objects, "Deployment")[name]["spec"].get("replicas", scaled.get(name))
            if count <= o["spec"]["minAvailable"]:
                yield f"{name}: {count} replicas"

    def a_monitor_finds_services_and_their_port(self):
        for name, o in self.kinds("ServiceMonitor"):
            selector = o["spec"]["selector"]["matchLabels"]
            services = [s for _, s in self.kinds("Service")
                        if is_subset(selector, s["metadata"]["labels"])
                        and "app.kubernetes.io/component" in s["metadata"]["labels"]]
            ports = {e["port"] for e in o["spec"]["endpoints"]}
            if len(services) != 4 or any(
                    not ports <= {p["name"] for p in s["spec"]["ports"]} for s in services):
                yield name

    def a_route_leads_to_a_services_port(self):
        ports = {(name, p["port"]) for name, s in self.kinds("Service") for p in s["spec"]["ports"]}
        for name, o in self.kinds("Ingress"):
            for path in o["spec"]["rules"][0]["http"]["paths"]:
                to = path["backend"]["service"]
                if (to["name"], to["port"]["number"]) not in ports:
                    yield f"Ingress/{name}: {to}"
        for name, o in self.kinds("HTTPRoute"):
            for to in o["spec"]["rules"][0]["backendRefs"]:
                if (to["name"], to["port"]) not in ports:
                    yield f"HTTPRoute/{name}: {to}"

    def a_probe_asks_a_port_that_is_there(self):
        for name, container in self.containers():
            ports = {p["name"] for p in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                how = container.get(probe, {})
                asked = how.get("httpGet", how.get("tcpSocket", {})).get("port")
                if asked and asked not in ports:
                    yield f"{name}: {probe} {asked}"

    def what_serves_is_probed(self):
        for name, container in self.containers():
            if not name.startswith("Job/") and not {"livenessProbe", "readinessProbe"} <= set(container):
                yield name

    def a_mount_has_its_volume(self):
        for name, pod in self.pods.items():
            volumes = {v["name"] for v in pod["spec"].get("volumes", [])}
            if name.startswith("StatefulSet/"):
                claims = of_kind(self.objects, "StatefulSet")[name.partition("/")[2]]
                volumes |= {c["metadata"]["name"] for c in claims["spec"]["volumeClaimTemplates"]}
            used = {m["name"] for c in pod["spec"]["containers"] for m in c.get("volumeMounts", [])}
            notes = pod["metadata"].get("annotations", {})
            sidecars = notes.get("dapr.io/volume-mounts", "")
            used |= {m.partition(":")[0] for m in sidecars.split(",") if m}
            if used != volumes:
                yield f"{name}: {used ^ volumes}"

    def nothing_of_the_host_is_shared(self):
        for name, pod in self.pods.items():
            spec = pod["spec"]
            if any(spec.get(k) for k in ("hostNetwork", "hostPID", "hostIPC")) or any(
                    "hostPath" in v for v in spec.get("volumes", [])):
                yield name

    def a_port_needs_no_privilege(self):
        for name, container in self.containers():
            for port in container.get("ports", []):
                if port["containerPort"] < 1024 or "hostPort" in port:
                    yield f"{name}: {port}"

    def a_name_of_the_environment_is_there_once(self):
        for name, container in self.containers():
            names = [e["name"] for e in container.get("env", [])]
            if len(names) != len(set(names)):
                yield name

    def no_secret_is_a_value(self):
        for name, container in self.containers():
            for entry in container.get("env", []):
                word = entry["name"].lower()
                if "value" in entry and word != "secrets_dir" and \
                        any(w in word for w in ("password", "token", "secret", "_key")):
                    yield f"{name}: {entry['name']}"

    def an_account_of_its_own_that_exists(self):
        accounts = set(of_kind(self.objects, "ServiceAccount"))
        for name, pod in self.pods.items():
            if pod["spec"].get("serviceAccountName", "default") not in accounts and \
                    name.startswith("Deployment/"):
                yield name

    def a_right_names_what_it_is_for(self):
        for name, role in self.kinds("Role"):
            for rule in role["rules"]:
                if "*" in rule["verbs"] + rule["resources"] + rule["apiGroups"] or not rule.get(
                        "resourceNames"):
                    yield f"{name}: {rule}"
        if of_kind(self.objects, "ClusterRole") or of_kind(self.objects, "ClusterRoleBinding"):
            yield "rights over the whole cluster"

    def a_reference_is_pinned(self):
        for name, container in self.containers():
            if ":" not in container["image"] or container["image"].endswith(":latest"):
                yield f"{name}: {container['image']}"


class Lint(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cases = dict(cases())

    def test_kube_score_finds_nothing_that_is_not_explained(self):
        used, left = set(), []
        for case, text in self.cases.items():
            for finding in findings(text):
                reasons = [key for key in EXPLAINED if all(map(fnmatch.fnmatch, finding, key))]
                used.update(reasons)
                if not reasons:
                    left.append(f"{case}: {' | '.join(finding)}")
        self.assertEqual(left, [])
        self.assertEqual(set(EXPLAINED) - used, set(), "nothing needs these any more")

    def test_the_rules_that_it_has_not_hold(self):
        for case, text in self.cases.items():
            rules = Rules(parse(text))
            for rule in (r for r in vars(Rules) if "_" in r and not r.startswith("_")):
                with self.subTest(f"{case}: {rule}"):
                    self.assertEqual(list(getattr(rules, rule)()), [])

    def test_the_rules_find_what_breaks_them(self):
        text = manifest("--set-json", "networkPolicy.metricsNamespaces=[]")
        self.assertEqual(list(Rules(parse(text)).a_policy_of_ingress_has_no_empty_peer()), [])
        rules = Rules(parse(text.replace("image: todo-app:0.1.0", "image: todo-app").replace(
            "containerPort: 8002", "containerPort: 80").replace("path: /healthz, port: http",
                                                                "path: /healthz, port: htp")))
        self.assertEqual(len(list(rules.a_reference_is_pinned())), 5)
        self.assertEqual(len(list(rules.a_port_needs_no_privilege())), 1)
        self.assertEqual(len(list(rules.a_probe_asks_a_port_that_is_there())), 8)


if __name__ == "__main__":
    unittest.main()
