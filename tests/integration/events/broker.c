#include "broker.h"

#include "support/unit.h"

#define WAIT_MS 10000

void broker_open(struct broker *b, const char *topic, int partitions)
{
    char why[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    b->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    assert_non_null(b->host);
    b->cluster = rd_kafka_mock_cluster_new(b->host, 1);
    assert_non_null(b->cluster);
    b->address = rd_kafka_mock_cluster_bootstraps(b->cluster);
    assert_int_equal(rd_kafka_mock_topic_create(b->cluster, topic, partitions, 1), 0);
}

void broker_close(struct broker *b)
{
    rd_kafka_mock_cluster_destroy(b->cluster);
    rd_kafka_destroy(b->host);
}

void broker_fill(struct broker *b, const char *topic, const char *keys)
{
    char why[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", b->address, why, sizeof(why));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    assert_non_null(rk);
    for (size_t i = 0; keys[i]; i++) {
        char value[24];
        int len = snprintf(value, sizeof(value), "%zu", i);
        assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                                           RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                           RD_KAFKA_V_KEY(&keys[i], 1),
                                           RD_KAFKA_V_VALUE(value, (size_t)len), RD_KAFKA_V_END),
                         0);
    }
    assert_int_equal(rd_kafka_flush(rk, WAIT_MS), 0);
    rd_kafka_destroy(rk);
}
