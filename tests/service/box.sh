# shellcheck shell=bash
# box.sh: a Debian with a real systemd as PID 1, in a container with a network of its own. Sourced.
# It needs root, namespaces and a Debian mirror for the first time; everything lies under target/rig.

rig=$PWD/target/rig
box=$rig/box
box_pid=

# What the box has beside Debian's smallest set: what any server has.
box_packages=systemd,systemd-sysv,dbus,libsystemd0,ca-certificates,curl,iproute2,procps,udev

# Says why a box cannot be had here; nothing where it can.
box_obstacle() {
    [ "$(id -u)" = 0 ] || { echo 'it needs root'; return; }
    unshare --mount --pid --fork true 2>/dev/null || { echo 'namespaces cannot be made'; return; }
    local tool
    for tool in systemd-nspawn nsenter debootstrap curl jq; do
        [ -n "$(PATH=$PATH:/usr/sbin type -P "$tool")" ] || { echo "$tool is missing"; return; }
    done
}

# The mirror that this machine uses itself; without one, Debian's tool takes its own default.
box_mirror() {
    awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/*.sources 2>/dev/null
}

# Makes the root file system once; it is kept.
box_rootfs() {
    [ ! -e "$rig/rootfs.done" ] || return 0
    mkdir -p "$rig"
    rm -rf "$rig/rootfs"
    # shellcheck disable=SC2046 # No mirror is no argument.
    debootstrap --variant=minbase --include="$box_packages" bookworm "$rig/rootfs" $(box_mirror) >"$rig/rootfs.log" 2>&1 || return 1
    rm -f "$rig/rootfs/var/cache/apt/archives/"*.deb
    touch "$rig/rootfs.done"
}

# A fresh copy, booted.
box_start() {
    rm -rf "$box"
    cp -a "$rig/rootfs" "$box"
    box_boot
}

# Off in order, and on again.
box_reboot() {
    box_stop
    box_boot
}

box_boot() {
    # The box gets a pure control group tree in a mount namespace of its own; this machine's mounts stay as they are.
    # shellcheck disable=SC2016 # The inner shell expands.
    setsid unshare --mount --propagation private bash -c '
        umount -R /sys/fs/cgroup
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
        mkdir -p /sys/fs/cgroup/redeemd-test
        echo $$ >/sys/fs/cgroup/redeemd-test/cgroup.procs
        exec systemd-nspawn --quiet --directory="$1" --boot --machine=redeemd-test --register=no --keep-unit \
            --private-network --console=pipe' _ "$box" </dev/null >"$rig/box.log" 2>&1 &
    local nspawn=$! _
    for _ in $(seq 300); do
        box_pid=$(pgrep -P $nspawn | head -n 1)
        if [ -n "$box_pid" ]; then
            case $(in_box systemctl is-system-running 2>/dev/null) in running | degraded) return 0 ;; esac
        fi
        sleep 0.1
    done
    return 1
}

in_box() {
    nsenter --target "$box_pid" --all -- \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb DEBIAN_FRONTEND=noninteractive "$@"
}

box_stop() {
    [ -n "$box_pid" ] || return 0
    kill -RTMIN+4 "$box_pid" 2>/dev/null
    local _
    for _ in $(seq 100); do
        kill -0 "$box_pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -9 "$box_pid" 2>/dev/null
    unshare --mount --propagation private bash -c '
        umount -R /sys/fs/cgroup
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
        find /sys/fs/cgroup/redeemd-test -depth -type d -exec rmdir {} \; 2>/dev/null'
    box_pid=
}

# The number on this machine of the box's process $1.
in_box_pid() {
    local status
    for status in /proc/[0-9]*/status; do
        if awk -v inner="$1" '/^NSpid:/ && NF == 3 && $3 == inner { found = 1 } END { exit !found }' "$status" 2>/dev/null &&
            grep -q '^Name:.redeemd$' "$status"; then
            basename "$(dirname "$status")"
            return
        fi
    done
}
