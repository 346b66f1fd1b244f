"""Three replicas of a worker (with Dapr a sidecar each) at the end of each way of events, for tests
that kill them. A test names its worker and does the rest:

    class Mine(ways.Way):
        program, app_id, topic, path = …
        def test_…(self): …

    class Direct(ways.Direct, Mine): pass          # and so on, one class a way"""

import tempfile
import unittest

from todo_server import Postgres, Server

from .balancer import Balancer
from .components import pubsub_kafka, pubsub_redis
from .dapr import Daprd
from .kafka import Kafka
from .redis import Redis
from .worker import Worker

REPLICAS = 3


class Way(unittest.TestCase):
    """What the ways have in common."""

    program = app_id = topic = path = None
    server_env = {}
    redis = {}  # settings of the component

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix=f"{self.program}-"))
        self.postgres = Postgres(fsync=False)
        self.addCleanup(self.postgres.close)
        self.workers, self.parts = [], []
        self.open_parts()
        settings = self.open_way()
        self.server = Server(self.postgres.url, {**settings, **self.server_env})
        self.addCleanup(self.server.stop)
        self.open_rest()
        for worker in self.workers:
            worker.wait_ready()

    def open_parts(self):
        """Before the workers."""

    def open_rest(self):
        """After the server."""

    def worker_env(self):
        return {}

    def start(self, part):
        self.addCleanup(part.close)
        return part.start()

    def add_worker(self, **settings):
        worker = Worker(self.program, {"DATABASE_URL": self.postgres.url, **self.worker_env(),
                                       **settings})
        self.addCleanup(worker.close)
        self.workers.append(worker)
        return worker

    def add_workers(self, **settings):
        for _ in range(REPLICAS):
            self.add_worker(**settings).start(wait=False)

    def add_sidecar(self, app_id, app_port=None):
        sidecar = Daprd(app_id, self.folder, **({"app_port": app_port} if app_port else {}))
        self.addCleanup(sidecar.close)
        return sidecar

    def with_dapr(self):
        for _ in range(REPLICAS):
            worker = self.add_worker(USE_DAPR="true")
            sidecar = self.add_sidecar(self.app_id, worker.port)
            worker.env["DAPR_HTTP_PORT"] = str(sidecar.port)
            worker.start(wait=False)
            self.parts.append(sidecar.start(wait=False))
        backend = self.add_sidecar("backend").start()
        return {"USE_DAPR": "true", "DAPR_HTTP_PORT": str(backend.port)}

    def kill_one(self, draw):
        victim = draw.choice(self.workers + self.parts)
        victim.kill()
        victim.start(wait=False)


class Direct:
    def open_way(self):
        self.add_workers()
        # One subscriber for a topic: each subscriber gets every event, as a consumer of its own.
        return {"EVENT_SUBSCRIBERS": ",".join(f"{self.topic}={w.url}{self.path}"
                                              for w in self.workers)}


class Balanced:
    """One address for the replicas, as a Kubernetes Service: an event goes to one of them. As three
    subscribers each would hold back what another has claimed, and the topic with it."""

    def open_way(self):
        self.add_workers()
        balancer = Balancer([w.port for w in self.workers])
        self.addCleanup(balancer.close)
        return {"EVENT_SUBSCRIBERS": f"{self.topic}=http://127.0.0.1:{balancer.port}{self.path}"}


class KafkaAlone:
    def open_way(self):
        kafka = self.start(Kafka())
        self.add_workers(KAFKA_BROKERS=kafka.brokers)
        return {"KAFKA_BROKERS": kafka.brokers}


class DaprKafka:
    def open_way(self):
        pubsub_kafka(self.folder, self.start(Kafka()).brokers)
        return self.with_dapr()


class DaprRedis:
    def open_way(self):
        pubsub_redis(self.folder, self.start(Redis()).address, **self.redis)
        return self.with_dapr()
