"""A collector of traces (tests/stack/otlp_collector.py)."""

import json
import os
import sys

from .process import STACK, Process


class OtlpCollector(Process):
    """`url` is what OTEL_EXPORTER_OTLP_ENDPOINT takes."""

    name = "otlp"
    port_names = ("http",)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.url = f"http://127.0.0.1:{self.port}"

    def command(self):
        return [sys.executable, f"{STACK}/otlp_collector.py", str(self.port), self.folder]

    def spans(self):
        """All that came: each span as OTLP has it, with its resource's attributes as `resource`."""
        path = os.path.join(self.folder, "traces.jsonl")
        if not os.path.exists(path):
            return []
        found = []
        with open(path, encoding="utf-8") as f:
            for line in f:
                for group in json.loads(line)["resourceSpans"]:
                    resource = {a["key"]: next(iter(a["value"].values()))
                                for a in group.get("resource", {}).get("attributes", [])}
                    for scope in group["scopeSpans"]:
                        found += [{**span, "resource": resource} for span in scope["spans"]]
        return found
