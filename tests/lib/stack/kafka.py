"""A Kafka broker (KRaft, one node). Its data starts as a copy of a template that has the topics of
the product, so that none has to be made while a test waits."""

import glob
import os
import shutil
import subprocess

from .process import Process, part, program

# Topic: partitions, retention in days.
TOPICS = {"task-events": (3, 7), "task-recurrence": (1, 7), "task-reminders": (3, 1),
          "task-events-dlq": (1, 14)}
SCRAM_USER, SCRAM_PASSWORD = "todo", "todo-secret"
# The first start sees the classes for the archive; the others read it.
JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
       "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
       "-Dorg.slf4j.simpleLogger.showDateTime=true")


class Kafka(Process):
    """`tls`: a tls.Certificate for a listener of SASL over TLS. `sasl`: SCRAM-SHA-256 over plain
    text. The user of both is SCRAM_USER. `brokers` is the listener without either, which is always
    there. `settings`: more lines of server.properties."""

    name = "kafka"
    port_names = ("plain", "controller", "sasl", "sasl_ssl")

    def __init__(self, sasl=False, tls=None, settings=(), home=None, jvm=JVM, **kwargs):
        super().__init__(**kwargs)
        self.home = home or part("kafka")
        self.sasl, self.tls, self.settings, self.jvm = sasl, tls, settings, jvm
        self.brokers = f"127.0.0.1:{self.port}"
        self.sasl_brokers = f"127.0.0.1:{self.ports['sasl']}"
        self.sasl_ssl_brokers = f"127.0.0.1:{self.ports['sasl_ssl']}"
        self.data = os.path.join(self.folder, "data")
        template = os.path.join(self.home, "template")
        if not os.path.isdir(self.data) and os.path.isdir(template):
            shutil.copytree(template, self.data)

    def java(self):
        archive = os.path.join(self.home, "kafka.jsa")
        shared = [f"-XX:SharedArchiveFile={archive}"] if os.path.exists(archive) else []
        return [program("java", "default-jdk-headless"), *self.jvm, *shared, "-cp",
                ":".join(sorted(glob.glob(f"{self.home}/libs/*.jar")))]

    def tool(self, name, *arguments, data=None):
        """Runs one of Kafka's tools, as in tool("kafka.admin.ConfigCommand", …); its output."""
        return subprocess.run([*self.java(), name, *arguments], check=True, input=data, text=True,
                              stdout=subprocess.PIPE).stdout

    def properties(self):
        listeners = {"PLAINTEXT": self.port}
        lines = []
        if self.sasl or self.tls:
            lines += ["sasl.enabled.mechanisms=SCRAM-SHA-256"]
            for name in ("sasl_plaintext", "sasl_ssl"):
                lines.append(f"listener.name.{name}.scram-sha-256.sasl.jaas.config="
                             "org.apache.kafka.common.security.scram.ScramLoginModule required;")
        if self.sasl:
            listeners["SASL_PLAINTEXT"] = self.ports["sasl"]
        if self.tls:
            listeners["SASL_SSL"] = self.ports["sasl_ssl"]
            lines += ["ssl.keystore.type=PEM", f"ssl.keystore.location={self.tls.bundle}"]
        reached = ",".join(f"{k}://127.0.0.1:{v}" for k, v in listeners.items())
        return [
            "process.roles=broker,controller", "node.id=1",
            f"controller.quorum.voters=1@127.0.0.1:{self.ports['controller']}",
            f"listeners={reached},CONTROLLER://127.0.0.1:{self.ports['controller']}",
            f"advertised.listeners={reached}",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
            "SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
            "controller.listener.names=CONTROLLER", "inter.broker.listener.name=PLAINTEXT",
            f"log.dirs={self.data}", "num.partitions=3",
            "offsets.topic.num.partitions=4", "offsets.topic.replication.factor=1",
            "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1",
            "transaction.state.log.num.partitions=2", "group.initial.rebalance.delay.ms=0",
            # A killed broker may come back once its session is over: by default in 9 s.
            "broker.session.timeout.ms=3000", "broker.heartbeat.interval.ms=500",
            "log.cleaner.dedupe.buffer.size=10485760", "num.recovery.threads.per.data.dir=2",
            "num.network.threads=2", "num.io.threads=4", *lines, *self.settings]

    def write_properties(self):
        path = os.path.join(self.folder, "server.properties")
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(self.properties()) + "\n")
        return path

    def command(self):
        return [*self.java(), "kafka.Kafka", self.write_properties()]

    def is_ready(self):
        """It opens its port before it may be used, so ask it something."""
        if self.process is None:
            return super().is_ready()
        from . import kafka_client
        return kafka_client.is_serving(self.port)

    def create_topic(self, name, partitions=3):
        from . import kafka_client
        kafka_client.create_topic(self.port, name, partitions)

    def admin_properties(self):
        """A client's settings for the SASL listener over plain text."""
        return ["security.protocol=SASL_PLAINTEXT", "sasl.mechanism=SCRAM-SHA-256",
                "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required "
                f'username="{SCRAM_USER}" password="{SCRAM_PASSWORD}";']
