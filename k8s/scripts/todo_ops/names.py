"""What things are called; the same in the chart, in k8s/dapr and on this machine."""

PUBSUB, STATE = "pubsub-kafka", "statestore-postgres"
BACKEND, NOTIFICATION = "backend", "notification-service"
EMAIL, RECURRING = "email-delivery-service", "recurring-task-service"
# App id: the Deployment's component in the chart, the program's port.
APPS = {BACKEND: ("backend", 8000), NOTIFICATION: ("notification", 8002),
        EMAIL: ("email", 8003), RECURRING: ("recurring", 8004)}
# App id: what it subscribes to, as (topic, route).
SUBSCRIPTIONS = {EMAIL: ("task-reminders", "/events/reminder-sent"),
                 RECURRING: ("task-recurrence", "/events/task-completed")}
JOB = "check-due-tasks"
# Secret: its keys. redis-secrets is needed where pubsub-kafka stands on Redis.
SECRETS = {"todo-app-secrets": ("DATABASE_URL",), "dapr-api-token": ("token",),
           "app-api-token": ("token",)}
BROKER_SECRETS = {"kafka": ("kafka-secrets", ("username", "password")),
                  "redis": ("redis-secrets", ("password",))}
