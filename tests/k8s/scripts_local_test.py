#!/usr/bin/env python3
"""The operators' scripts on ./todo stack: each does what its --help says, and each check of
validate-dapr-deployment finds what is broken and names it."""

import contextlib
import os
import signal
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "stack"), os.path.join(HERE, "..", "lib"),
                os.path.join(HERE, "..", "..", "k8s", "scripts")]
import control  # noqa: E402
from scripts_case import ScriptsCase  # noqa: E402
from todo_ops.checks import CHECKS  # noqa: E402
from todo_ops.web import Web  # noqa: E402
from todo_server import wait_for  # noqa: E402

EMAIL, RECURRING, NOTIFICATION = ("email-delivery-service", "recurring-task-service",
                                  "notification-service")


class Local(ScriptsCase):
    words = ("--local",)

    @classmethod
    def setUpClass(cls):
        cls.state = tempfile.TemporaryDirectory(prefix="todo-scripts-")
        os.environ["XDG_STATE_HOME"] = cls.state.name
        with control.opened() as stack:
            stack.settings = {"REMINDER_POLL_MS": "1000", "RATE_LIMIT_PER_MINUTE": "0"}
            stack.save()
        cls.is_new = True

    @classmethod
    def tearDownClass(cls):
        with control.opened() as stack:
            stack.down()
            stack.clear()
        cls.state.cleanup()

    def setUp(self):
        """All is up, whatever the test before this one broke."""
        if Local.is_new:
            self.script("setup-dapr")
            Local.is_new = False
        with control.opened() as stack:
            stack.up()

    @contextlib.contextmanager
    def restarted(self, name, **settings):
        """A replica and its sidecar, with other settings until the end."""
        def restart(more):
            with control.opened() as stack:
                program, sidecar = stack.programs()[name]
                for part in (program, sidecar):
                    part.stop()
                program.env.update(more)
                sidecar.start(wait=False)
                program.start()
                stack.save()
        restart(settings)
        yield
        restart({})

    def kill(self, name):
        with control.opened() as stack:
            stack.parts[name].kill()
            stack.save()

    def sidecar(self, app_id):
        with control.opened() as stack:
            part = stack.parts[f"daprd-{app_id}"]
            return Web(part.url, {"dapr-api-token": part.api_token})

    def sql(self, text):
        with control.opened() as stack:
            return stack.postgres.query(text)

    # ---- a whole deployment

    def test_a_whole_deployment_is_valid(self):
        told = self.validate()
        self.assertEqual([c["name"] for c in told["checks"]], [c.name for c in CHECKS])

    def test_without_a_stack_nothing_is_claimed(self):
        with tempfile.TemporaryDirectory() as empty:
            told = self.script("validate-dapr-deployment", code=2, env={"XDG_STATE_HOME": empty})
        self.assertIn("setup-dapr --local", told)

    # ---- each check finds what it is for

    def test_a_scheduler_that_is_down(self):
        self.kill("scheduler")
        self.found_ill("control-plane", "scheduler")

    def test_a_token_that_is_missing(self):
        with control.opened() as stack:
            path = stack.environment_file(EMAIL)
        with open(path, encoding="utf-8") as f:
            lines = f.readlines()
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(line for line in lines if not line.startswith("DAPR_API_TOKEN"))
        self.found_ill("secrets", f"{EMAIL}: DAPR_API_TOKEN")

    def component(self, name):
        with control.opened() as stack:
            return os.path.join(stack.components, f"{name}.yaml")

    @contextlib.contextmanager
    def without(self, name):
        path = self.component(name)
        os.rename(path, f"{path}.away")
        yield
        os.rename(f"{path}.away", path)

    def test_a_component_that_is_missing_or_not_loaded(self):
        with self.without("statestore-postgres"):
            self.found_ill("components", "statestore-postgres")
            web = self.sidecar(EMAIL)
            wait_for(lambda: "statestore-postgres" not in str(web.want("GET", "/v1.0/metadata")),
                     30, "the sidecar that has seen it")
            self.found_ill("loaded", f"{EMAIL} has nothing as statestore-postgres")
        wait_for(lambda: "statestore-postgres" in str(web.want("GET", "/v1.0/metadata")), 30,
                 "the component's return")

    def test_a_retry_that_is_missing(self):
        with control.opened() as stack:
            name, = [n for n in os.listdir(stack.components) if "resiliency" in n]
        with self.without(name.removesuffix(".yaml")):
            self.found_ill("resiliency", "no Resiliency")

    def test_a_program_that_is_down(self):
        self.kill(RECURRING)
        self.found_ill("programs", f"{RECURRING} has 0 of 1")

    def test_programs_that_do_not_use_dapr(self):
        self.script("setup-dapr", "--disable")
        told = self.validate(code=1)
        self.assertLessEqual({"settings", "sidecars", "job"}, set(told["failed"]))
        self.found_ill("settings", "USE_DAPR is false")
        self.script("setup-dapr", "--enable")
        self.validate("--skip", "job")

    def test_a_sidecar_that_is_down_or_hangs(self):
        self.kill(f"daprd-{EMAIL}")
        self.found_ill("sidecars", f"{EMAIL} has no sidecar")
        self.found_ill("memory", f"{EMAIL} has no sidecar")
        with control.opened() as stack:
            stack.up()
            pid = stack.parts[f"daprd-{RECURRING}"].pid
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        self.found_ill("sidecars", RECURRING)

    def test_a_subscription_that_is_missing(self):
        with self.without("subscriptions"), self.restarted(EMAIL, APP_API_TOKEN="another"):
            self.found_ill("subscriptions", EMAIL, "task-reminders")

    def test_an_application_that_takes_deliveries_from_anyone(self):
        with self.restarted(RECURRING, APP_API_TOKEN=""):
            self.found_ill("tokens", RECURRING)

    def test_a_state_store_that_is_down(self):
        with control.opened() as stack:
            stack.postgres.stop()
            stack.save()
        self.found_ill("state", "statestore-postgres")

    def test_a_job_that_is_missing(self):
        web = self.sidecar(NOTIFICATION)
        web.want("DELETE", "/v1.0-alpha1/jobs/check-due-tasks")
        self.found_ill("job", "check-due-tasks")
        with self.restarted(NOTIFICATION):
            pass

    def test_events_that_nobody_publishes(self):
        self.kill("backend")
        wait_for(lambda: self.validate_events() == "no relay leads, so that no event leaves", 30,
                 "the end of the relay's session")
        self.found_ill("events", "no relay leads")

    def validate_events(self):
        told = self.script("validate-dapr-deployment", "--only", "events", code=1)
        return told["checks"][0]["found"]

    def test_a_dead_letter(self):
        self.sidecar("backend").want(
            "POST", "/v1.0/publish/pubsub-kafka/task-recurrence?metadata.rawPayload=true", {"x": 1})
        wait_for(lambda: self.sql("select 1 from todo.dead_letters"), 30, "the dead letter")
        self.found_ill("dead-letters", "1 dead letters", RECURRING)
        self.sql("delete from todo.dead_letters")

    def test_a_sidecar_that_is_too_large(self):
        self.found_ill("memory", "MB of 10", more=("--memory-mb", "10"))

    # ---- the other scripts

    def test_a_swap_there_and_back(self):
        told = self.script("test-infrastructure-swap")
        self.assertEqual([c["name"] for c in told["checks"] if c["name"].startswith("swap")],
                         ["swap to redis", "swap to kafka"])
        told = self.script("test-infrastructure-swap", "--to", "kafka", code=1)
        self.assertIn("kafka already", told["checks"][0]["found"])

    def test_a_swap_that_loses_events_is_found(self):
        self.kill(RECURRING)
        told = self.script("test-infrastructure-swap", "--to", "redis", "--limit", "5", code=1)
        self.assertEqual(told["failed"], ["swap to redis"])
        self.script("setup-dapr", "--broker", "kafka")

    def test_poison_becomes_a_dead_letter_and_is_replayed(self):
        told = self.script("test-simplified-operations")
        self.assertIn("after 4 attempts", told["checks"][3]["found"])
        self.assertEqual(self.sql("select count(*) from pg_trigger where tgname like 'poison%'"),
                         [["0"]])

    def test_the_job_runs_once_an_interval_whatever_is_killed(self):
        self.script("test-guaranteed-job-execution", "--intervals", "3")
        told = self.validate("--only", "programs")
        self.assertIn(f"{NOTIFICATION} 1/1", told["checks"][0]["found"])

    def test_a_job_that_does_not_come_back_is_found(self):
        self.script("setup-dapr", "--disable")
        told = self.script("test-guaranteed-job-execution", "--timeout", "2", code=1)
        self.assertEqual(told["failed"], ["before"])
        self.script("setup-dapr", "--enable")


if __name__ == "__main__":
    unittest.main()
