"""Calls through kinds of networks: two stations with sound, a server and a relay, each in a network namespace of its
own, and a router between them whose rules are those of the network.

    python3 networks.py CALLBOX VIRTCARD

VIRTCARD is the plug-in of tests/soundcard. The test needs root, iproute2, nftables, openssl and coturn.
"""
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "arm"))
import call  # noqa: E402
from call import until  # noqa: E402

ROUTER, DOOR, FLAT, CORE = (f"callbox-{name}-{os.getpid()}" for name in ("router", "door", "flat", "core"))
SERVER, RELAY, SECRET = "10.2.0.1", "10.2.0.3", "north wind"

# Rules of the router, in the chain `forward`. `door` and `flat` are its interfaces to the stations, and everything that
# no rule drops passes.
TCP_443_ALONE = """
    iifname door tcp dport 443 accept
    oifname door tcp sport 443 accept
    iifname door drop
    oifname door drop
"""
# The kind of network, the rules, the way that calls take there as `check --network` says it, and the most seconds from
# the press until both ends are connected.
NETWORKS = [
    ("open", "", "directly", 3),
    ("UDP blocked, but not DNS", "udp dport != 53 drop", "through the relay over TCP", 4),
    ("TCP port 443 alone", TCP_443_ALONE, "through the relay over TLS", 4),
    # A single STUN server cannot tell a symmetric NAT from another one.
    ("a symmetric NAT on each side", "iifname door oifname flat drop; iifname flat oifname door drop", "directly", 4),
    ("MTU 1280 without ICMP", "ip protocol icmp drop; tcp flags syn tcp option maxseg size set 1240", "directly", 3),
]


def sh(command, check=True):
    ran = subprocess.run(command, shell=True, text=True, capture_output=True)
    assert ran.returncode == 0 or not check, f"{command}: {ran.stderr}"
    return ran.stdout


def inside(namespace, command):
    return f"ip netns exec {namespace} {command}"


@contextlib.contextmanager
def namespaces():
    """The router and what is connected to it."""
    places = [(DOOR, "door", "10.1.0"), (FLAT, "flat", "10.3.0"), (CORE, "core", "10.2.0")]
    try:
        for namespace in (ROUTER, DOOR, FLAT, CORE):
            sh(f"ip netns add {namespace}")
            sh(f"ip -n {namespace} link set lo up")
        for namespace, name, network in places:
            host = 1 if namespace == CORE else 2
            sh(f"ip link add {name} netns {ROUTER} type veth peer name eth0 netns {namespace}")
            sh(f"ip -n {ROUTER} address add {network}.254/24 dev {name}")
            sh(f"ip -n {namespace} address add {network}.{host}/24 dev eth0")
            sh(f"ip -n {ROUTER} link set {name} up")
            sh(f"ip -n {namespace} link set eth0 up")
            sh(f"ip -n {namespace} route add default via {network}.254")
        sh(f"ip -n {CORE} address add {RELAY}/24 dev eth0")
        sh(inside(ROUTER, "sysctl -qw net.ipv4.ip_forward=1"))
        yield
    finally:
        for namespace in (ROUTER, DOOR, FLAT, CORE):
            sh(f"ip netns delete {namespace}", check=False)


def set_network(kind, rules):
    """Replaces the rules of the router."""
    nat = "masquerade fully-random" if "NAT" in kind else ""
    text = (f"flush ruleset\ntable ip house {{\n chain forward {{ type filter hook forward priority 0;\n{rules}\n }}\n"
            f" chain postrouting {{ type nat hook postrouting priority 100;\n oifname core {nat}\n }}\n}}\n")
    if not nat:
        text = text.replace(" oifname core \n", "")
    rules_file = pathlib.Path("/tmp") / f"callbox-rules-{os.getpid()}"
    rules_file.write_text(text)
    sh(inside(ROUTER, f"nft -f {rules_file}"))
    rules_file.unlink()
    for name in ("door", "flat"):
        sh(f"ip -n {ROUTER} link set {name} mtu {1280 if 'MTU' in kind else 1500}")


@contextlib.contextmanager
def running(name, command, folder):
    """A program in the namespace of the servers."""
    with open(folder / f"{name}.log", "a") as log:
        process = subprocess.Popen(["ip", "netns", "exec", CORE, *command], cwd=folder, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def servers(stack, folder, callbox):
    """Starts the server and the relay. Returns the file with the certificates that stations trust."""
    accounts = "".join(f'[[account]]\nnumber = "{number}"\nname = "{number}"\npassword = "callbox"\n'
                       for number in ("100", "101"))
    (folder / "accounts.toml").write_text(accounts)
    (folder / "turn-secret").write_text(SECRET + "\n")
    sh(f"cd {folder} && openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=relay "
       f"-addext subjectAltName=IP:{RELAY} -keyout relay.key -out relay.pem")
    relay = ["turnserver", "-n", "--no-cli", "--no-dtls", "--realm", "test", "--use-auth-secret",
             f"--static-auth-secret={SECRET}", "--listening-ip", RELAY, "--relay-ip", RELAY, "--listening-port", "3478",
             "--tls-listening-port", "443", "--cert", "relay.pem", "--pkey", "relay.key", "--pidfile", "/dev/null",
             "--log-file", "stdout", "--db", "turn.db"]
    stack.enter_context(running("relay", relay, folder))
    urls = [f"stun:{RELAY}:3478", f"turn:{RELAY}:3478", f"turn:{RELAY}:3478?transport=tcp", f"turns:{RELAY}:443"]
    sandbox = [callbox, "sandbox", "--listen", f"{SERVER}:443", "--no-station", "--accounts", "accounts.toml", "--data",
               "server", "--turn-secret-file", "turn-secret"]
    for url in urls:
        sandbox += ["--ice-server", url]
    stack.enter_context(running("server", sandbox, folder))
    until("the server's CA", 20, lambda: (folder / "server" / "ca.pem").exists())
    trusted = folder / "trusted.pem"
    trusted.write_text((folder / "server" / "ca.pem").read_text() + (folder / "relay.pem").read_text())
    return trusted


class Station(call.Station):
    """A station in a network namespace."""

    def __init__(self, namespace, folder, number, hertz, tools, trusted):
        super().__init__(folder, number, f"https://{SERVER}", hertz, tools)
        self.command = ["ip", "netns", "exec", namespace, *self.command]
        text = (self.folder / "callbox.toml").read_text()
        text = text.replace("allow_insecure = true", f'ca_file = "{trusted}"').replace('bind = ["127.0.0.1"]\n', "")
        (self.folder / "callbox.toml").write_text(text)

    def has_relays(self):
        return (status := self.status()) and status["ice_servers"]["turn_tls"] == 1


def try_network(network, folder, tools, trusted):
    kind, rules, way, most_s = network
    set_network(kind, rules)
    folder = folder / kind.replace(" ", "-")
    folder.mkdir()
    door = Station(DOOR, folder, "100", 400, tools, trusted)
    flat = Station(FLAT, folder, "101", 1000, tools, trusted)
    try:
        for station in (door, flat):
            station.start()
        for station in (door, flat):
            until("registration", 20, station.registered)
            until("the relays", 10, station.has_relays)
        checked = door.run("check", "--network", "--config", "callbox.toml").stdout
        assert checked.splitlines()[-1] == f"calls: will work {way}", checked
        began = time.monotonic()
        door.ask("press", "bell")
        until("the call", 20, lambda: door.talks() and flat.talks())
        took = time.monotonic() - began
        assert took < most_s, f"{kind}: {took:.1f} s"
        heard = lambda: door.heard(1000) > 0.1 and flat.heard(400) > 0.1
        until("both tones", 10, heard)
        print(f"  {kind}: up {took:.1f} s after the press, both tones heard; check says: calls will work {way}")
    except BaseException:
        for name in ("100", "101"):
            print((folder / name / "log").read_text()[-3000:], file=sys.stderr)
        raise
    finally:
        for station in (door, flat):
            station.stop()


def may_have_namespaces():
    probe = f"callbox-probe-{os.getpid()}"
    made = os.geteuid() == 0 and subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode == 0
    if made:
        sh(f"ip netns delete {probe}")
    return made


def main(callbox, virtcard):
    if not may_have_namespaces():
        return print("SKIPPED: the test of networks needs root and network namespaces")
    tools = {"native": callbox, "virtcard": virtcard, "command": [callbox]}
    with namespaces(), tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = pathlib.Path(folder)
        set_network("open", "")
        trusted = servers(stack, folder, callbox)
        for network in NETWORKS:
            try_network(network, folder, tools, trusted)
    print("networks test passed")


if __name__ == "__main__":
    main(*sys.argv[1:3])
