#pragma once
/* tests/integration/events/broker: the brokers that librdkafka has within itself, which speak
 * Kafka's protocol over loopback: for what a real broker cannot be told to do. Where one can do it,
 * the test is in tests/stack. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

struct broker {
    rd_kafka_t *host;
    rd_kafka_mock_cluster_t *cluster;
    const char *address; /* borrowed from the cluster */
};

#define PRODUCE_REQUEST 0 /* of Kafka's protocol */

void broker_open(struct broker *b, const char *topic, int partitions);
void broker_close(struct broker *b);
/* Messages one after the other into partition 0, their keys the letters of `keys`, their values the
 * place in it: "0", "1" … Returns when they are acknowledged. */
void broker_fill(struct broker *b, const char *topic, const char *keys);
