#!/bin/busybox sh
# The first program of a guest: makes a small but usual Linux system, then runs the cases on the disk, or a shell.

/bin/busybox --install -s /bin
# The real one is in /usr/sbin: busybox's knows neither namespaces nor veth.
rm -f /bin/ip
export PATH=/payload/bin:/usr/sbin:/sbin:/bin HOME=/root TERM=linux

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /run/netns
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo root:x:0:0:root:/root:/bin/sh >/etc/passwd
hostname guest

# What is built in fails here, and need not be loaded.
for module in virtio_pci virtio_blk virtio_console; do
    modprobe $module 2>/dev/null
done
mount -t ext4 -o ro /dev/vda /payload || echo "the guest's disk cannot be mounted"

if grep -q tracer.shell /proc/cmdline; then
    cd /root || cd /
    /usr/sbin/ip link set lo up
    setsid cttyhack sh
else
    for port in /sys/class/virtio-ports/*; do
        [ "$(cat "$port/name")" = report ] && report=/dev/${port##*/}
    done
    if [ -n "$report" ]; then
        sh /payload/runner.sh >"$report"
    else
        echo "there is no channel to report on: virtio_console did not load"
    fi
fi
sync
poweroff -f
