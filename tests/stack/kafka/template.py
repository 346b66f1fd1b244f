"""template.py HOME: gives the Kafka in HOME/libs its template/ of data (formatted, with the product's
topics, the groups' offsets and one SCRAM user) and an archive of its classes, so that a broker of a
test is there in seconds. part.sh runs it once."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))

from stack import kafka, kafka_client  # noqa: E402
from todo_server import wait_for  # noqa: E402


def main(home):
    archive = os.path.join(home, "kafka.jsa")
    broker = kafka.Kafka(home=home, jvm=(*kafka.JVM, f"-XX:ArchiveClassesAtExit={archive}"))
    plain = kafka.Kafka(home=home, folder=broker.folder, ports=broker.ports)
    plain.tool("kafka.tools.StorageTool", "format", "-t", "dG9kby1zdGFjay1rYWZrYQ", "-c",
               plain.write_properties(), "--add-scram",
               f"SCRAM-SHA-256=[name={kafka.SCRAM_USER},password={kafka.SCRAM_PASSWORD}]")
    with broker:
        for name, (partitions, days) in kafka.TOPICS.items():
            kafka_client.create_topic(broker.port, name, partitions, days)
        wait_for(lambda: kafka_client.find_coordinator(broker.port, "any") == 0, 30,
                 "the groups' coordinator")
        broker.wait_ready()
        broker.stop(60)
        shutil.rmtree(os.path.join(home, "template"), ignore_errors=True)
        shutil.copytree(broker.data, os.path.join(home, "template"))


if __name__ == "__main__":
    main(sys.argv[1])
