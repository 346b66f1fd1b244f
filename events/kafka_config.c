#include "events/kafka_config.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/secret.h"

static int refuse(const char *name, const char *text, struct error *err)
{
    return error_set(err, BASE_EINVAL, name, "%s %s", name, text);
}

static bool is_port(const char *text, size_t len)
{
    char *end;
    if (len == 0 || len > 5 || strspn(text, "0123456789") < len)
        return false;
    long port = strtol(text, &end, 10);
    return port >= 1 && port <= 65535;
}

/* host, host:port or [v6]:port. */
static bool is_broker(const char *text, size_t len)
{
    size_t host = *text == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":,");
    if (host == 0 || host > len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] <= ' ' || strchr("/\\@\"'", text[i]))
            return false;
    }
    return host == len || (text[host] == ':' && is_port(text + host + 1, len - host - 1));
}

static int check_brokers(const char *brokers, struct error *err)
{
    if (!brokers)
        return refuse("KAFKA_BROKERS", "is missing", err);
    for (const char *at = brokers;; at++) {
        size_t len = strcspn(at, ",");
        if (!is_broker(at, len))
            return refuse("KAFKA_BROKERS",
                          "must be host:port, with commas and no spaces between them", err);
        at += len;
        if (!*at)
            return 0;
    }
}

static bool is_mechanism(const char *text)
{
    static const char *const known[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"};
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        if (strcmp(text, known[i]) == 0)
            return true;
    }
    return false;
}

/* A password that would not be used is a mistake to be told. */
static int check_sasl(const struct kafka_config *c, struct error *err)
{
    if (!c->sasl_mechanism && (secret_text(c->sasl_username) || secret_text(c->sasl_password)))
        return refuse("KAFKA_SASL_MECHANISM",
                      "is missing: KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD is set", err);
    if (!c->sasl_mechanism)
        return 0;
    if (!is_mechanism(c->sasl_mechanism))
        return refuse("KAFKA_SASL_MECHANISM", "must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", err);
    if (!secret_text(c->sasl_username))
        return refuse("KAFKA_SASL_USERNAME", "is missing: KAFKA_SASL_MECHANISM is set", err);
    if (!secret_text(c->sasl_password))
        return refuse("KAFKA_SASL_PASSWORD", "is missing: KAFKA_SASL_MECHANISM is set", err);
    return 0;
}

static int check_tls(const struct kafka_config *c, struct error *err)
{
    if (!c->ca_file)
        return 0;
    if (!c->tls)
        return refuse("KAFKA_TLS", "is false, but KAFKA_CA_FILE is set", err);
    if (access(c->ca_file, R_OK))
        return error_set(err, BASE_EINVAL, "KAFKA_CA_FILE", "KAFKA_CA_FILE: cannot read \"%.160s\"",
                         c->ca_file);
    return 0;
}

int kafka_config_check(const struct kafka_config *c, struct error *err)
{
    int status = check_brokers(c->brokers, err);
    if (!status)
        status = check_sasl(c, err);
    return status ? status : check_tls(c, err);
}

const char *kafka_config_protocol(const struct kafka_config *c)
{
    if (c->sasl_mechanism)
        return c->tls ? "SASL_SSL" : "SASL_PLAINTEXT";
    return c->tls ? "SSL" : "PLAINTEXT";
}
