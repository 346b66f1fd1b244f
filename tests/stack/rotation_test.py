"""Each secret of the product is replaced under load: no call fails, no change loses its event, none
takes effect twice. The programs read their secrets from folders (SECRETS_DIR), one each, so that a
new value reaches one before the other, as it does in a cluster. What sidecars hold is replaced by their
restarts, one after the other.

TODO_MCP and TODO_RECORDER name the programs; the argument is what is replaced."""

import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "faults")]
from load import Load  # noqa: E402
from rig import ROUTES, TOKEN, Rig  # noqa: E402
from stack import (SCRAM_PASSWORD, SCRAM_USER, Balancer, Kafka, PostgresServer,  # noqa: E402
                   http_status)
from todo_server import Client, server_binary, wait_for  # noqa: E402
from verdict import Verdict  # noqa: E402

RATE, CLIENTS = 60, 6
OWNER, LOGIN = "todo_owner", "todo_a"
HBA = "local all postgres trust\nlocal all all scram-sha-256\n"


def put(folder, name, *values):
    """A file of a folder of secrets, whole or not at all."""
    path = os.path.join(folder, name)
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write("\n".join(values) + "\n")
    os.rename(path + ".new", path)


class KeyedClient(Client):
    """Shows the API key that is in use."""

    key = None

    def request(self, method, params=None, headers=None):
        return super().request(method, params, {"Authorization": f"Bearer {KeyedClient.key}",
                                                **(headers or {})})


class SecretRig(Rig):
    """Two replicas and the recorder, each with a folder of secrets. The database asks for a password,
    and so does Kafka, whose connections end after 2 s each, so that there always is a login to come."""

    def __init__(self, transport):
        self.values = {"APP_API_TOKEN": ("first-token",), "KAFKA_SASL_USERNAME": (SCRAM_USER,),
                       "KAFKA_SASL_PASSWORD": (SCRAM_PASSWORD,)}
        super().__init__(transport)
        hba = os.path.join(self.folder, "pg_hba.conf")
        with open(hba, "w", encoding="utf-8") as f:
            f.write(HBA)
        os.chmod(self.folder, 0o755)
        self.postgres = PostgresServer(settings=["fsync=off", f"hba_file={hba}"])
        if self.kafka:
            self.kafka = Kafka(sasl=True, settings=[
                "listener.name.sasl_plaintext.scram-sha-256.connections.max.reauth.ms=2000"])
        self.values["DATABASE_URL"] = (self.url(LOGIN, "first"),)
        self.change_transport(transport)

    def url(self, role, password):
        return f"postgresql://{role}:{password}@/postgres?host={self.postgres.folder}"

    def secrets_of(self, number):
        return os.path.join(self.folder, f"secrets-{number}")

    def settings(self, number):
        settings = super().settings(number)
        for name in ("DATABASE_URL", "APP_API_TOKEN"):
            del settings[name]
        os.makedirs(self.secrets_of(number), exist_ok=True)
        for name, lines in self.values.items():
            put(self.secrets_of(number), name, *lines)
        if "KAFKA_BROKERS" in settings and self.kafka:
            settings |= {"KAFKA_BROKERS": self.kafka.sasl_brokers,
                         "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256"}
        return {**settings, "SECRETS_DIR": self.secrets_of(number), "POOL_SIZE": "4",
                "API_KEYS": "true" if number >= 0 else "", "SHUTDOWN_DELAY_MS": "1000"}

    def put(self, name, *lines, numbers=(0, 1, -1)):
        self.values[name] = lines
        for number in numbers:
            put(self.secrets_of(number), name, *lines)

    def start(self):
        self.postgres.start()
        for sql in (f"create role {OWNER}", f"create role {LOGIN} login password 'first'"
                    f" in role {OWNER}", f"alter role {LOGIN} set role {OWNER}",
                    "create extension pg_trgm", f"grant create on database postgres to {OWNER}",
                    f"create schema recorder authorization {OWNER}"):
            self.postgres.query(sql)
        self.write_component()
        for part in self.all[1:]:
            part.start()
        return self

    def key(self, *words):
        """todo-mcp key …; what it prints."""
        return subprocess.run([server_binary(), "key", *words, "--secrets-dir", self.secrets_of(0)],
                              check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class Rotation(unittest.TestCase):
    transport = "direct"

    def setUp(self):
        self.rig = self.enterContext(SecretRig(self.transport))
        self.rig.start()
        KeyedClient.key = self.rig.key("create", "--name", "first", "--user", "ann")
        self.load = Load(self.ports(), 7, 1 << 30, clients=CLIENTS, rate=RATE,
                         connect=lambda port: KeyedClient(port, timeout=15))
        self.load.start()
        self.addCleanup(self.load.ended.set)

    def ports(self):
        return self.rig.ports

    def status(self, token):
        """Of a delivery with this token; what is delivered is no event."""
        return http_status(f"http://127.0.0.1:{self.rig.recorder_port}{ROUTES['task-events']}",
                           method="POST", body=b"x", headers={"dapr-api-token": token})

    def wait_calls(self, count=2 * RATE):
        """So many more calls are answered; a client's trouble is raised."""
        end = self.load.taken + count
        wait_for(lambda: self.load.taken >= end or not self.load.is_running(), 60, "the load")

    def wait_changed(self, name, numbers=(0, 1, -1)):
        """The programs have seen the new values of their files."""
        programs = [self.rig.recorder if n < 0 else self.rig.replicas[n] for n in numbers]
        seen = getattr(self, "seen", {})
        self.seen = seen
        for program in programs:
            count = seen.get((program.name, name), 0) + 1
            seen[(program.name, name)] = count
            line = f'"msg":"a secret has changed","name":"{name}"'
            wait_for(lambda p=program, c=count: p.log_tail(1 << 30).count(line) >= c, 30,
                     f"{program.name} sees {name}")

    def finish(self, failed=0):
        """`failed`: so many calls may have failed, though none that was acknowledged."""
        self.load.end()
        self.load.join()
        verdict = Verdict(self.rig, self.load)
        verdict.wait_until_settled(60)
        verdict.check()
        print(verdict.figures)
        verdict.require()
        self.assertLessEqual(self.load.repeats(), failed)
        self.rig.stop()


class Database(Rotation):
    def sessions(self):
        """Role → sessions of our programs."""
        return dict(self.rig.postgres.query(
            "select usename, count(*) from pg_stat_activity where usename like 'todo_%' group by 1"))

    def began(self):
        return self.rig.postgres.value("select min(backend_start) from pg_stat_activity"
                                       f" where usename = '{LOGIN}'")

    def test_the_database_password_is_replaced(self):
        self.wait_calls()
        # The same role: what is connected stays so, until the programs know the new password.
        self.rig.postgres.query(f"alter role {LOGIN} password 'second'")
        moment = self.rig.postgres.value("select clock_timestamp()")
        self.wait_calls()
        self.rig.put("DATABASE_URL", self.rig.url(LOGIN, "second"))
        self.wait_changed("DATABASE_URL")
        wait_for(lambda: self.began() > moment, 30, "the last session of the old password")
        self.wait_calls()
        # Another role: at each moment there is one that is good.
        self.rig.postgres.query(f"create role todo_b login password 'third' in role {OWNER}")
        self.rig.postgres.query(f"alter role todo_b set role {OWNER}")
        for number in (0, 1, -1):
            self.rig.put("DATABASE_URL", self.rig.url("todo_b", "third"), numbers=[number])
            self.wait_changed("DATABASE_URL", [number])
        wait_for(lambda: LOGIN not in self.sessions(), 30, "the last session of the old role")
        self.rig.postgres.query(f"drop role {LOGIN}")
        # A wrong one takes a connection of each pool, and no call.
        self.rig.put("DATABASE_URL", self.rig.url("todo_b", "wrong"))
        self.wait_changed("DATABASE_URL")
        self.wait_calls(5 * RATE)
        self.rig.put("DATABASE_URL", self.rig.url("todo_b", "third"))
        self.wait_changed("DATABASE_URL")
        self.wait_calls()
        self.finish()


class Tokens(Rotation):
    def test_the_tokens_are_replaced(self):
        self.wait_calls()
        # Both values are good while not everybody has heard of the new one; the servers first, which
        # is the wrong way round: their events wait until the receiver has it too.
        for number in (0, 1, -1):
            self.rig.put("APP_API_TOKEN", "second-token", "first-token", numbers=[number])
            self.wait_changed("APP_API_TOKEN", [number])
            self.wait_calls()
        self.assertNotEqual(self.status("first-token"), 401)
        self.rig.put("APP_API_TOKEN", "second-token")
        self.wait_changed("APP_API_TOKEN")
        self.assertEqual(self.status("first-token"), 401)
        self.assertNotEqual(self.status("second-token"), 401)
        # API keys: the new one is there before the old one goes.
        old = KeyedClient.key
        KeyedClient.key = self.rig.key("create", "--name", "second", "--user", "ann")
        number = self.rig.key("list").splitlines()
        first = next(line.split("\t")[0] for line in number if "\tfirst\t" in line)
        self.wait_calls(CLIENTS)  # those under way had the old one
        self.wait_calls()
        self.rig.key("revoke", first)
        for port in self.rig.ports:
            wait_for(lambda p=port: http_status(
                f"http://127.0.0.1:{p}/mcp", method="POST", body=b"{}",
                headers={"Authorization": f"Bearer {old}"}) == 401, 30, "the end of the old key")
        self.wait_calls()
        self.finish()


class KafkaPassword(Rotation):
    transport = "kafka"

    def set_user(self, name, password):
        self.rig.kafka.tool("kafka.admin.ConfigCommand", "--bootstrap-server", self.rig.kafka.brokers,
                            "--alter", "--entity-type", "users", "--entity-name", name,
                            "--add-config", f"SCRAM-SHA-256=[password={password}]")

    def refusals(self):
        return sum(program.log_tail(1 << 30).count('"msg":"Kafka refuses us"')
                   for program in (*self.rig.replicas, self.rig.recorder))

    def published(self):
        return int(self.rig.postgres.value(
            "select count(*) from todo.outbox where published_at is not null"))

    def wait_published(self, what):
        """Events of after this moment are, by logins of after it: each connection lasts 2 s."""
        moment = self.rig.postgres.value("select clock_timestamp() + interval '2.5 s'")
        wait_for(lambda: self.rig.postgres.value(
            "select count(*) from todo.outbox where published_at is not null"
            f" and created_at > '{moment}'") != "0", 60, what)

    def test_the_kafka_password_is_replaced(self):
        self.wait_calls()
        # The same user: the old password is refused until the programs know the new one.
        self.set_user(SCRAM_USER, "second")
        wait_for(lambda: self.refusals() > 0, 30, "a login with the old password")
        self.rig.put("KAFKA_SASL_PASSWORD", "second")
        self.wait_changed("KAFKA_SASL_PASSWORD")
        self.wait_published("an event by the new password")
        # Another user: at each moment there is one that is good.
        refused = self.refusals()
        self.set_user("todo-b", "third")
        for number in (0, 1, -1):
            self.rig.put("KAFKA_SASL_USERNAME", "todo-b", numbers=[number])
            self.rig.put("KAFKA_SASL_PASSWORD", "third", numbers=[number])
            self.wait_changed("KAFKA_SASL_PASSWORD", [number])
        self.wait_published("an event by the new user")
        self.rig.kafka.tool("kafka.admin.ConfigCommand", "--bootstrap-server",
                            self.rig.kafka.brokers, "--alter", "--entity-type", "users",
                            "--entity-name", SCRAM_USER, "--delete-config", "SCRAM-SHA-256")
        self.wait_published("an event without the old user")
        print(f"{refused} refusals with the old password, {self.refusals() - refused} after it")
        self.finish()


class DaprRig(Rig):
    """Two replicas behind one address, and the recorder, each with a sidecar."""

    def __init__(self):
        self.token = TOKEN
        super().__init__("dapr-kafka")
        self.front = Balancer(super().ports)

    @property
    def ports(self):
        return [self.front.port]

    def settings(self, number):
        return super().settings(number) | {"APP_API_TOKEN": self.token, "DAPR_API_TOKEN": self.token,
                                           "SHUTDOWN_DELAY_MS": "1000"}

    def restart_with(self, token, number):
        """A program and its sidecar, while nobody new is sent to them."""
        program, sidecar = [*self.replicas, self.recorder][number], self.sidecars[number]
        others = [port for port in self.front.ports if port != program.port]
        self.front.ports = others
        program.stop()  # checks its exit code
        sidecar.stop()
        self.token = token
        program.set(self.settings(number))
        sidecar.api_token = token
        sidecar.env |= {"APP_API_TOKEN": token, "DAPR_API_TOKEN": token}
        sidecar.start(wait=False)
        program.start()
        sidecar.wait_ready()
        if number >= 0:
            self.front.ports = [*others, program.port]

    def close(self):
        super().close()
        self.front.close()


class DaprTokens(Rotation):
    """Those of the sidecars, which read them at their start: one pair after the other."""

    def setUp(self):
        self.rig = self.enterContext(DaprRig())
        self.rig.start()
        self.load = Load(self.ports(), 7, 1 << 30, clients=CLIENTS, rate=RATE)
        self.load.start()
        self.addCleanup(self.load.ended.set)

    def sidecar_status(self, number, token):
        """Of a call of its API with this token; what is called is not there."""
        return http_status(f"http://127.0.0.1:{self.rig.sidecars[number].port}/v1.0/publish/no/no",
                           method="POST", body=b"{}", headers={"dapr-api-token": token})

    def test_the_tokens_of_the_sidecars_are_replaced(self):
        self.wait_calls()
        for number in (0, 1, -1):
            self.rig.restart_with("second-token", number)
            self.wait_calls(RATE)
            self.assertEqual(self.sidecar_status(number, TOKEN), 401)
            self.assertNotIn(self.sidecar_status(number, "second-token"), (0, 401))
        self.assertEqual(self.status(TOKEN), 401)
        self.assertNotIn(self.status("second-token"), (0, 401))
        self.finish()


if __name__ == "__main__":
    unittest.main(verbosity=2)
