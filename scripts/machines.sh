# Two machines with a network between them, for link.sh and vanish.sh, which source this file. They are network namespaces, $first and
# $second, with the addresses 10.215.0.1 and 10.215.0.2 at the ends, link0, of a pair of virtual devices. $work is a folder, $work/agent
# starts a program on the second machine as ssh would, and TRAINER is built from this tree unless it is set. All of it, and what still
# runs on the machines, is removed at the end. It needs root and ip.

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
first=trainer-$(basename "$0" .sh)-a-$$ second=trainer-$(basename "$0" .sh)-b-$$
processes() { for ns in "$first" "$second"; do ip netns pids "$ns" 2>/dev/null || true; done; }
cleanup() {
	kill -KILL $(processes) 2>/dev/null || true
	for ns in "$first" "$second"; do
		[ ! -e "/var/run/netns/$ns" ] || ip netns del "$ns"
	done
	rm -rf "$work"
}
trap cleanup EXIT

if [ -z "${TRAINER:-}" ]; then
	TRAINER=$work/trainer
	(cd "$root" && CGO_ENABLED=1 go build -o "$TRAINER" ./cmd/trainer)
fi

ip netns add "$first"
ip netns add "$second"
ip link add name link0 netns "$first" type veth peer name link0 netns "$second"
ip -n "$first" addr add 10.215.0.1/24 dev link0
ip -n "$second" addr add 10.215.0.2/24 dev link0
for ns in "$first" "$second"; do
	ip -n "$ns" link set lo up
	ip -n "$ns" link set link0 up
done
# mpirun starts its daemon on the other machine with this in place of ssh.
cat >"$work/agent" <<AGENT
#!/bin/sh
while [ "\${1#-}" != "\$1" ]; do shift; done
shift
exec ip netns exec $second unshare -u sh -c "hostname second; \$*"
AGENT
chmod +x "$work/agent"
