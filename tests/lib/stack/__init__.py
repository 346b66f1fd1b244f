"""The real stack that the product runs on, for tests: each part is a process of our own on loopback
with free ports. What is built comes from the cache (./todo stack prepare). See docs/stack.md."""

from .app import App
from .balancer import Balancer
from .clock import Clock
from .components import (pubsub_kafka, pubsub_redis, secret_store, state_postgres, take,
                         write_component)
from .dapr import Daprd, Placement, Scheduler, Sentry, http_status
from .disk import Disk
from .issuer import IssuerServer
from .kafka import SCRAM_PASSWORD, SCRAM_USER, TOPICS, Kafka
from .kafka_client import kafka_python
from .mail import Mail, SmtpSink
from .network import Link, has_groups
from .otlp import OtlpCollector
from .postgres import PostgresServer
from .process import Process, free_port, is_open, part
from .redis import Redis
from .session import Session, SessionError
from .tls import Authority
from .worker import Worker, worker_binary

__all__ = ["App", "Authority", "Balancer", "Clock", "Daprd", "Disk", "IssuerServer",
           "Kafka", "Link", "Mail",
           "OtlpCollector", "Placement", "PostgresServer", "Process", "Redis",
           "SCRAM_PASSWORD", "SCRAM_USER", "Scheduler", "Sentry", "Session",
           "SessionError", "SmtpSink", "TOPICS", "Worker", "free_port", "has_groups",
           "http_status", "is_open", "kafka_python", "part", "pubsub_kafka",
           "pubsub_redis", "secret_store", "state_postgres", "take", "worker_binary",
           "write_component"]
