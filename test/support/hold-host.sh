# First process of a throw-away host, in mount, network, PID, UTS and IPC namespaces of its own. Makes the
# host and its remote, says `ready`, and stays until its standard input closes: with it the kernel ends
# every process and drops every mount and link of the host. Argument: the one folder that stays writable.
set -eu
folder=$1

mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /run
if [ -d /dev/shm ]; then mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm; fi

# A new sysfs shows this network namespace; the machine's cgroups, which no namespace can copy, move onto it.
mkdir /run/cgroup
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount --move /run/cgroup /sys/fs/cgroup
rmdir /run/cgroup

# Whatever a test does, the machine's own files stay as they are.
mount --bind "$folder" "$folder"
# An overlay cannot have its upper layer on another overlay, as inside Docker.
if [ "$(stat --file-system --format=%T "$folder")" = overlayfs ]; then
  mount -t tmpfs -o mode=755 tmpfs "$folder/data"
fi
mount -o remount,bind,ro /

hostname test-host
unshare --net sleep infinity &
remote=$!
while [ "$(readlink "/proc/$remote/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done

on_remote() { nsenter --target "$remote" --net "$@"; }
# Without duplicate address detection an IPv6 address is there at once, and snapshots are equal.
no_dad='for f in /proc/sys/net/ipv6/conf/default/accept_dad; do if [ -e "$f" ]; then echo 0 >"$f"; fi; done'
sh -c "$no_dad"
on_remote sh -c "$no_dad"

ip link set lo up
ip link add eth0 type veth peer name eth0 netns "$remote"
ip address add 198.51.100.2/24 dev eth0
ip link set eth0 up
on_remote ip link set lo up
on_remote ip address add 203.0.113.1/32 dev lo
on_remote ip address add 198.51.100.1/24 dev eth0
on_remote ip link set eth0 up
ip route add default via 198.51.100.1
until [ "$(cat /sys/class/net/eth0/operstate)" = up ]; do sleep 0.01; done
if [ -e /proc/sys/net/ipv6/conf/eth0 ]; then
  until ip -6 address show dev eth0 scope link | grep -q inet6; do sleep 0.01; done
fi

echo "ready $remote"
# bash reaps the orphans that end up here while it waits in read.
while read -r _; do :; done
