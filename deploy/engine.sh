#!/bin/sh
# Make sure that a Docker engine answers, and stop the one that this script started.
#
#   deploy/engine.sh up      use the engine that answers; else, as root on Debian, install and start one
#   deploy/engine.sh down    stop the engine that `up` started; leaves any other alone
#   deploy/engine.sh status  print what answers
#
# The engine's log and pid are in var/engine/. It is started in a mount namespace of its own with a
# hybrid host's cgroup v2 mount taken away, so that runsc and crun can enforce their limits as well.
set -eu

home=$(cd "$(dirname "$0")/.." && pwd)
state=${SEALGATE_ENGINE_STATE:-$home/var/engine}
pidfile=$state/dockerd.pid
log=$state/dockerd.log

answers() { timeout 10 docker version --format '{{.Server.Version}}' 2>/dev/null; }

refuse() {
    echo "no Docker engine answers [engine.missing]" >&2
    echo "  expected: a Docker engine that this user may talk to (DOCKER_HOST or /var/run/docker.sock)" >&2
    echo "  do:       $1" >&2
    exit 1
}

install_engine() {
    missing=
    command -v dockerd >/dev/null || missing="$missing docker.io"
    command -v docker >/dev/null || missing="$missing docker.io"
    command -v mmdebstrap >/dev/null || missing="$missing mmdebstrap"
    command -v bwrap >/dev/null || missing="$missing bubblewrap"
    command -v runsc >/dev/null || optional=runsc
    [ -n "$missing" ] || [ -n "${optional:-}" ] || return 0
    command -v apt-get >/dev/null || refuse "install$missing with your package manager, then run this again"
    echo "engine: installing$missing ${optional:-}" >&2
    export DEBIAN_FRONTEND=noninteractive
    timeout 300 apt-get update -q >"$state/apt.log" 2>&1 || refuse "apt-get update failed, see $state/apt.log"
    if [ -n "$missing" ]; then
        # since Debian 13 the client is a package of its own
        if ! command -v docker >/dev/null && apt-cache show docker-cli >/dev/null 2>&1; then
            missing="$missing docker-cli"
        fi
        # policy-rc.d keeps the package from starting a second engine of its own
        rc=/usr/sbin/policy-rc.d; made=
        [ -e $rc ] || { printf '#!/bin/sh\nexit 101\n' >$rc; chmod 755 $rc; made=1; }
        # shellcheck disable=SC2086
        timeout 900 apt-get install -q -y --no-install-recommends $missing iptables >>"$state/apt.log" 2>&1 || failed=1
        [ -z "$made" ] || rm -f $rc
        [ -z "${failed:-}" ] || refuse "apt-get install$missing failed, see $state/apt.log"
    fi
    # gVisor is used where it is to be had
    [ -z "${optional:-}" ] || timeout 300 apt-get install -q -y --no-install-recommends runsc >>"$state/apt.log" 2>&1 || true
}

start_engine() {
    cat >"$state/daemon.json" <<EOF
{
  "data-root": "$state/data",
  "exec-root": "/run/sealgate-engine",
  "pidfile": "/run/sealgate-engine.pid",
  "iptables": false,
  "ip6tables": false,
  "bridge": "none",
  "log-level": "warn",
  "runtimes": {
    "runsc": {"path": "$(command -v runsc || echo /usr/bin/runsc)", "runtimeArgs": ["--platform=ptrace", "--network=none"]}
  }
}
EOF
    command -v runsc >/dev/null || sed -i '/"runtimes"/,/^  }/d; s/"warn",/"warn"/' "$state/daemon.json"
    # after a crash, a pid that another process has by now would keep dockerd waiting in vain
    stale=/run/sealgate-engine/containerd/containerd.pid
    if [ -f "$stale" ] && [ "$(cat "/proc/$(cat "$stale")/comm" 2>/dev/null)" != containerd ]; then
        rm -f "$stale"
    fi
    echo "engine: starting dockerd (log: $log)" >&2
    # shellcheck disable=SC2016
    setsid unshare -m sh -c '
        mount --make-rprivate /
        if [ -e /sys/fs/cgroup/memory ] && mountpoint -q /sys/fs/cgroup/unified; then
            umount /sys/fs/cgroup/unified
        fi
        exec dockerd --config-file "$1" --host unix:///var/run/docker.sock
    ' sh "$state/daemon.json" >"$log" 2>&1 </dev/null &
    echo $! >"$pidfile"
}

case "${1:-}" in
up)
    mkdir -p "$state"; chmod 700 "$state"
    version=$(answers) || version=
    if [ -z "$version" ]; then
        [ -z "${DOCKER_HOST:-}" ] || refuse "start the engine at DOCKER_HOST=$DOCKER_HOST, or unset DOCKER_HOST"
        [ "$(id -u)" = 0 ] || refuse "start Docker, or add this user to the docker group; as root on Debian this script installs one"
        install_engine
        version=$(answers) || version=
    fi
    if [ -z "$version" ]; then
        start_engine
        i=0
        while [ $i -lt 60 ]; do
            version=$(answers) && [ -n "$version" ] && break
            kill -0 "$(cat "$pidfile")" 2>/dev/null || { tail -5 "$log" >&2; refuse "dockerd ended at once, see $log"; }
            sleep 0.5; i=$((i + 1))
        done
        [ -n "$version" ] || refuse "dockerd did not answer within 30 s, see $log"
    fi
    echo "engine: Docker $version answers" >&2
    ;;
down)
    if [ -f "$pidfile" ]; then
        pid=$(cat "$pidfile")
        kill "$pid" 2>/dev/null || true
        i=0
        while kill -0 "$pid" 2>/dev/null && [ $i -lt 40 ]; do sleep 0.5; i=$((i + 1)); done
        rm -f "$pidfile"
        echo "engine: stopped" >&2
    else
        echo "engine: none that this deployment started" >&2
    fi
    ;;
status)
    version=$(answers) || refuse "run deploy/engine.sh up"
    echo "engine: Docker $version answers"
    ;;
*)
    echo "usage: $0 up|down|status" >&2
    exit 2
    ;;
esac
