#!/usr/bin/env bash
# run.sh FOLDER [SETTINGS]: the server and the three workers of a build (FOLDER/todo-mcp/todo-mcp …),
# with no broker between them. They start and end together, whatever ends first. SETTINGS are the
# server's flags; the workers get those that they know as well.
set -euo pipefail

readonly WORKERS=(notification email recurring)
# Settings that the workers share with the server (their flags, without "--").
readonly SHARED=(database-url data-dir pool-size statement-timeout-ms use-dapr dapr-http-port
    dapr-api-token app-api-token pubsub-name state-store-name kafka-brokers kafka-sasl-mechanism
    kafka-sasl-username kafka-sasl-password kafka-tls kafka-ca-file drain-ms log-level log-format)

folder=$1
shift
names=() pids=() ports=()
is_told=

say() { printf '%s\n' "$*" >&2; }
die() { say "todo: $*"; exit 1; }

# flag_value NAME ARGUMENT...: of --NAME=VALUE, --NAME VALUE or, where no value follows, --NAME.
flag_value() {
    local name=$1 value='' found=1
    shift
    while (($#)); do
        case $1 in
        "--$name="*) value=${1#*=} found=0 ;;
        "--$name")
            value=true found=0
            [[ $# -lt 2 || $2 == --* ]] || value=$2
            ;;
        esac
        shift
    done
    printf '%s' "$value"
    return "$found"
}

share_flags() {
    local flag value variable
    for flag in "${SHARED[@]}"; do
        value=$(flag_value "$flag" "$@") || continue
        variable=${flag//-/_}
        export "${variable^^}=$value"
    done
}

is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Any that is free, where the server's is to be any as well.
free_port() {
    local port
    while port=$((RANDOM % 12000 + 20000)) && is_taken "$port"; do :; done
    printf '%s' "$port"
}

choose_ports() {
    local server=$1 worker variable port default=8002
    for worker in "${WORKERS[@]}"; do
        variable=${worker^^}_PORT
        port=${!variable:-$default}
        [ "$server" != 0 ] || port=${!variable:-$(free_port)}
        ! is_taken "$port" ||
            die "port $port of todo-$worker is taken (does another ./todo run?): end what listens there, or set $variable"
        ports+=("$port")
        default=$((default + 1))
    done
    [ "$server" = 0 ] || ! is_taken "$server" ||
        die "port $server of todo-mcp is taken (does another ./todo run?): end what listens there, or set HTTP_PORT"
}

# On a terminal each line says whose it is. A program ends with us even when we are killed.
start() {
    local name=$1
    shift
    local words=("$folder/$name/$name" "$@")
    ! command -v setpriv >/dev/null || words=(setpriv --pdeathsig TERM -- "${words[@]}")
    if [ -t 2 ]; then
        LOG_FORMAT=${LOG_FORMAT:-text} "${words[@]}" 2> >(sed -u "s/^/$(printf '%-17s' "$name") /" >&2) &
    else
        "${words[@]}" &
    fi
    names+=("$name")
    pids+=("$!")
}

# What is told to all ends the one that waits as well: the trap only notes it.
wait_for_the_first() {
    local ended='' i
    code=0
    wait -n -p ended "${pids[@]}" || code=$?
    [ -z "$is_told" ] || { code=0; return; }
    for i in "${!pids[@]}"; do
        [ "${pids[$i]}" != "$ended" ] || say "todo: ${names[$i]} ended with $code, so the others end too"
    done
}

# One that was only just starting dies of the signal (143), and has nothing to put in order.
end_all() {
    local pid status
    kill -TERM "${pids[@]}" 2>/dev/null || true
    for pid in "${pids[@]}"; do
        while kill -0 "$pid" 2>/dev/null; do
            wait "$pid" 2>/dev/null || true
        done
        status=0
        wait "$pid" 2>/dev/null || status=$?
        case $status in
        0 | 127 | 143) ;;
        *) [ "$code" != 0 ] || code=$status ;;
        esac
    done
}

for word in "$@"; do
    case $word in
    --help | -h | --version) exec "$folder/todo-mcp/todo-mcp" "$@" ;;
    esac
done
share_flags "$@"
choose_ports "$(flag_value http-port "$@" || printf '%s' "${HTTP_PORT:-8000}")"
export EVENT_SUBSCRIBERS=${EVENT_SUBSCRIBERS:-task-reminders=http://127.0.0.1:${ports[1]}/events/reminder-sent,task-recurrence=http://127.0.0.1:${ports[2]}/events/task-completed}
trap 'is_told=yes' TERM INT HUP
start todo-mcp "$@"
for i in "${!WORKERS[@]}"; do
    start "todo-${WORKERS[$i]}" --http-host 127.0.0.1 --http-port "${ports[$i]}"
done
wait_for_the_first
end_all
exit "$code"
