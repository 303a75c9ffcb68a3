"""A house, a flat and the servers, each in a network namespace of its own, and a router between them.

    door (10.1.0.2, 2001:db8:1::2) ---.
                                       router --- core: server, relay, proxy, STUN (10.2.0.1, .3, .5, .7; 2001:db8:2::1, ::3)
    flat (10.3.0.2, 2001:db8:3::2) ---'
"""
import os
import pathlib
import signal
import subprocess
import sys

ROUTER, DOOR, FLAT, CORE, HOME = (f"callbox-{name}-{os.getpid()}" for name in ("router", "door", "flat", "core", "home"))
SERVER, RELAY, PROXY, STUN = "10.2.0.1", "10.2.0.3", "10.2.0.5", "10.2.0.7"
SERVER6, RELAY6 = "2001:db8:2::1", "2001:db8:2::3"
NAMES = {"core.house.example": (SERVER, SERVER6), "relay.house.example": (RELAY, RELAY6),
         "stun.house.example": (STUN, None)}
NAT64, NAT64_POOL = "2001:db8:64::/96", "10.64.0.0/24"


def sh(command, check=True):
    ran = subprocess.run(command, shell=True, text=True, capture_output=True, timeout=60)
    assert ran.returncode == 0 or not check, f"{command}: {ran.stderr}"
    return ran.stdout


def inside(namespace, command, check=True):
    return sh(f"ip netns exec {namespace} {command}", check)


def delete_namespaces(names):
    for name in names:
        sh(f"ip netns delete {name}", check=False)
        sh(f"rm -rf /etc/netns/{name}", check=False)


def apply_rules(namespace, text):
    subprocess.run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], input=text, text=True, check=True, timeout=60)


class Programs:
    """Programs in namespaces. They end in reverse order."""

    def __init__(self, folder):
        self.folder, self.running = folder, []

    def start(self, namespace, name, *command):
        with open(self.folder / f"{name}.log", "a") as log:
            within = ["ip", "netns", "exec", namespace] if namespace else []
            self.running.append(subprocess.Popen([*within, *command], cwd=self.folder, stdout=log, stderr=log))

    def stop(self):
        while self.running:
            process = self.running.pop()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def make_core():
    """The namespace of the servers, which stays while networks come and go. Its addresses are on no link."""
    sh(f"ip netns add {CORE}")
    sh(f"ip -n {CORE} link set lo up")
    for address in (SERVER, RELAY, PROXY, STUN):
        sh(f"ip -n {CORE} address add {address}/32 dev lo")
    for address in (SERVER6, RELAY6):
        sh(f"ip -n {CORE} address add {address}/128 dev lo nodad")
    # The server listens on a port of all addresses, because the relay needs 443 too.
    to_server = f"ip daddr {SERVER} tcp dport 443 dnat ip to {SERVER}:8443\nip6 daddr {SERVER6} tcp dport 443 dnat ip6 to [{SERVER6}]:8443"
    chains = "".join(f"chain {hook} {{\ntype nat hook {hook} priority -100;\n{to_server}\n}}\n" for hook in ("prerouting", "output"))
    apply_rules(CORE, f"table inet core {{\n{chains}}}\n")


class House:
    """The other namespaces, with the router's rules. `with` makes and deletes them."""

    def __init__(self, folder, families="46"):
        self.programs, self.families = Programs(folder), families

    def __enter__(self):
        try:
            for namespace in (ROUTER, DOOR, FLAT):
                sh(f"ip netns add {namespace}")
                sh(f"ip -n {namespace} link set lo up")
                if "6" not in self.families:
                    inside(namespace, "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
            self.link(CORE, "core", "10.2.255", 0xFF)
            self.link(DOOR, "door", "10.1.0", 1)
            self.link(FLAT, "flat", "10.3.0", 3)
            inside(ROUTER, "sysctl -qw net.ipv4.ip_forward=1")
            if "6" in self.families:
                inside(ROUTER, "sysctl -qw net.ipv6.conf.all.forwarding=1")
            sh(f"ip -n {ROUTER} route add 10.2.0.0/24 via 10.2.255.2")
            if "6" in self.families:
                sh(f"ip -n {ROUTER} -6 route add 2001:db8:2::/64 via 2001:db8:ff::2")
            self.write_hosts()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.programs.stop()
        # The kernel deletes a namespace some time later, and its cables with it.
        sh(f"ip -n {ROUTER} link delete core", check=False)
        delete_namespaces((ROUTER, DOOR, FLAT, HOME))

    def link(self, namespace, name, network, number, interface="eth0", metric=100):
        """A cable from a namespace to the router, which is `.254` there, with a default route."""
        sh(f"ip link add {name} netns {ROUTER} type veth peer name {interface} netns {namespace}")
        self.configure(namespace, name, network, number, interface, metric)

    def configure(self, namespace, name, network, number, interface, metric):
        sh(f"ip -n {ROUTER} address add {network}.254/24 dev {name}")
        sh(f"ip -n {namespace} address add {network}.2/24 dev {interface}")
        if "6" in self.families:
            prefix = f"2001:db8:{number:x}:"
            sh(f"ip -n {ROUTER} address add {prefix}:fe/64 dev {name} nodad")
            sh(f"ip -n {namespace} address add {prefix}:2/64 dev {interface} nodad")
        sh(f"ip -n {ROUTER} link set {name} up")
        sh(f"ip -n {namespace} link set {interface} up")
        sh(f"ip -n {namespace} route replace default via {network}.254 dev {interface} metric {metric}")
        if "6" in self.families:
            sh(f"ip -n {namespace} -6 route replace default via 2001:db8:{number:x}::fe dev {interface} metric {metric}")

    def write_hosts(self):
        """ip-netns(8): these files replace those of /etc in a namespace."""
        for namespace in (DOOR, FLAT):
            etc = pathlib.Path("/etc/netns") / namespace
            etc.mkdir(parents=True)
            families = [index for index, family in enumerate("46") if family in self.families]
            lines = [f"{addresses[index]} {name}" for name, addresses in NAMES.items() for index in families
                     if addresses[index]]
            (etc / "hosts").write_text("127.0.0.1 localhost\n" + "\n".join(lines) + "\n")
            (etc / "resolv.conf").write_text("nameserver 127.0.0.1\n")

    def rules(self, forward="", postrouting="", prerouting=""):
        """Replaces the rules of the router. What no rule drops passes."""
        inside_chain = "type {0} hook {1} priority {2};\n{3}\n"
        text = ("flush ruleset\ntable inet house {\n"
                "chain forward {\n" + inside_chain.format("filter", "forward", 0, forward) + "}\n"
                "chain postrouting {\n" + inside_chain.format("nat", "postrouting", 100, postrouting) + "}\n"
                "chain prerouting {\n" + inside_chain.format("nat", "prerouting", -100, prerouting) + "}\n}\n")
        apply_rules(ROUTER, text)

    def add_home_router(self):
        """A second router with a NAT of its own between the door and the first one."""
        sh(f"ip netns add {HOME}")
        sh(f"ip -n {HOME} link set lo up")
        sh(f"ip -n {DOOR} link set eth0 netns {HOME} name wan")
        sh(f"ip -n {HOME} address add 10.1.0.2/24 dev wan")
        sh(f"ip -n {HOME} link set wan up")
        sh(f"ip -n {HOME} route add default via 10.1.0.254")
        sh(f"ip link add lan netns {HOME} type veth peer name eth0 netns {DOOR}")
        sh(f"ip -n {HOME} address add 192.168.7.254/24 dev lan")
        sh(f"ip -n {HOME} link set lan up")
        sh(f"ip -n {DOOR} address add 192.168.7.2/24 dev eth0")
        sh(f"ip -n {DOOR} link set eth0 up")
        sh(f"ip -n {DOOR} route add default via 192.168.7.254")
        inside(HOME, "sysctl -qw net.ipv4.ip_forward=1")
        rules = ("table ip home {\nchain postrouting {\ntype nat hook postrouting priority 100;\n"
                 "oifname wan masquerade\n}\n}\n")
        apply_rules(HOME, rules)
        for namespace in (ROUTER, HOME):
            inside(namespace, "sysctl -qw net.netfilter.nf_conntrack_udp_timeout=30 "
                              "net.netfilter.nf_conntrack_udp_timeout_stream=30")

    def add_nat64(self):
        """The door loses IPv4, and gets a NAT64 and a name server with DNS64."""
        folder = self.programs.folder
        sh(f"ip -n {DOOR} address flush dev eth0 scope global")
        sh(f"ip -n {DOOR} address add 2001:db8:1::2/64 dev eth0 nodad")
        sh(f"ip -n {DOOR} -6 route replace default via 2001:db8:1::fe dev eth0")
        (folder / "tayga.conf").write_text(
            f"tun-device nat64\nipv4-addr 10.64.0.1\nprefix {NAT64}\ndynamic-pool {NAT64_POOL}\ndata-dir {folder}\n")
        inside(ROUTER, f"tayga --config {folder}/tayga.conf --mktun")
        sh(f"ip -n {ROUTER} link set nat64 up")
        sh(f"ip -n {ROUTER} route add {NAT64_POOL} dev nat64")
        sh(f"ip -n {ROUTER} -6 route add {NAT64} dev nat64")
        self.programs.start(ROUTER, "tayga", "tayga", "--config", f"{folder}/tayga.conf", "--nodetach")
        # A server that knows the names, with IPv4 alone, and the resolver that makes IPv6 addresses of them.
        records = [f"--host-record={name},{ipv4}" for name, (ipv4, _) in NAMES.items()]
        self.programs.start(ROUTER, "names", "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--port=5353",
                            "--conf-file=/dev/null", "--listen-address=127.0.0.1", "--bind-interfaces", "--user=root",
                            "--pid-file=", "--log-facility=-", "--local=/example/", "--local=/arpa/",
                            "--host-record=ipv4only.arpa,192.0.0.170", *records)
        (folder / "unbound.conf").write_text(
            'server:\n directory: "/"\n username: ""\n chroot: ""\n pidfile: ""\n use-syslog: no\n'
            ' interface: 2001:db8:1::fe\n access-control: ::/0 allow\n do-not-query-localhost: no\n do-ip6: yes\n'
            f' module-config: "dns64 iterator"\n dns64-prefix: {NAT64}\n'
            'forward-zone:\n name: "."\n forward-addr: 127.0.0.1@5353\n')
        self.programs.start(ROUTER, "unbound", "unbound", "-d", "-c", str(folder / "unbound.conf"))
        etc = pathlib.Path("/etc/netns") / DOOR
        (etc / "hosts").write_text("::1 localhost\n")
        (etc / "resolv.conf").write_text("nameserver 2001:db8:1::fe\n")

    def forget_names(self):
        """No name is known in the houses, and the name server is silent."""
        for namespace in (DOOR, FLAT):
            etc = pathlib.Path("/etc/netns") / namespace
            (etc / "hosts").write_text("127.0.0.1 localhost\n")
            (etc / "resolv.conf").write_text("nameserver 10.2.0.9\n")

    def go_on_air(self, bunch_ms):
        """The door's cable becomes a radio that sends to it in bunches."""
        sh(f"ip -n {ROUTER} link delete door")
        air = pathlib.Path(__file__).parent / "air.py"
        self.programs.start(None, "air", sys.executable, str(air), DOOR, ROUTER, "door", str(bunch_ms))
        wait_for_link(DOOR, "eth0")
        wait_for_link(ROUTER, "door")
        self.configure(DOOR, "door", "10.1.0", 1, "eth0", 100)

    def renew_lease_with_another_address(self):
        """What a DHCP client does when its lease has changed."""
        sh(f"ip -n {DOOR} address delete 10.1.0.2/24 dev eth0")
        sh(f"ip -n {DOOR} address add 10.1.0.77/24 dev eth0")
        sh(f"ip -n {DOOR} route replace default via 10.1.0.254 dev eth0 metric 100")

    def add_second_way(self):
        """A mobile router is plugged in, and its default route is the better one."""
        self.link(DOOR, "mobile", "10.4.0", 4, "eth1", metric=50)

    def remove_second_way(self):
        sh(f"ip -n {ROUTER} link delete mobile")


def wait_for_link(namespace, name):
    sh(f"for try in $(seq 100); do ip -n {namespace} link show {name} >/dev/null 2>&1 && exit 0; sleep 0.1; done; exit 1")
