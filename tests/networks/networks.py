"""Calls through kinds of networks: two stations with sound, a server, a relay and a proxy, each in a network namespace
(house.py), and a router between them whose rules are those of the network.

    python3 networks.py CALLBOX VIRTCARD [KIND]

VIRTCARD is the plug-in of tests/soundcard. The test needs root, iproute2, nftables, conntrack, openssl, coturn, squid,
tayga, dnsmasq and unbound. KIND is a part of the name of the networks to try, in place of all.
"""
import dataclasses
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import typing

import house
from house import CORE, DOOR, FLAT, PROXY, RELAY, ROUTER, SERVER, STUN, House, Programs, inside, sh

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "arm"))
import call  # noqa: E402
from call import until  # noqa: E402

SECRET, PROXY_PASSWORD = "north wind", "west: \"wind\""


@dataclasses.dataclass
class Network:
    """A kind of network, and what is expected there."""
    kind: str
    # The way that calls take, as `check --network` says it.
    way: str = "directly"
    # What it says of the NAT.
    nat: str = ""
    # The most seconds from the press until both ends are connected.
    most_s: float = 1.8
    # Rules of the router, in its chains. `door`, `flat` and `core` are its interfaces.
    forward: str = ""
    postrouting: str = ""
    prerouting: str = ""
    # The families of addresses that there are.
    families: str = "46"
    url: str = "https://core.house.example"
    # Further lines of `[core]`.
    core: str = ""
    # What is done to the house first.
    prepare: typing.Callable = lambda house: None
    # What happens in mid-call, with the most seconds until both tones are heard again.
    then: tuple = ()


def hold_for(seconds):
    """The call is silent, but for what ICE itself sends."""
    def act(house, door, flat):
        door.ask("hold")
        time.sleep(seconds)
        door.ask("unhold")
    return act


def change_the_mapping(house, door, flat):
    house.rules(postrouting="oifname core snat ip to 10.2.255.251")
    inside(ROUTER, "conntrack -F")


def act(what):
    """A change of the house alone."""
    return lambda house, door, flat: what(house)


def small_mtu(house):
    for name in ("door", "flat"):
        sh(f"ip -n {ROUTER} link set {name} mtu 1280")


def carrier_nat(house):
    sh(f"ip -n {ROUTER} address add 10.2.255.250/24 dev core")
    sh(f"ip -n {ROUTER} address add 10.2.255.251/24 dev core")


APART = "iifname door oifname flat drop; iifname flat oifname door drop"
NETWORKS = [
    Network("open"),
    Network("UDP blocked, but not DNS", "through the relay over TCP", forward="udp dport != 53 drop"),
    Network("TCP port 443 alone", "through the relay over TLS", forward="""
        iifname { door, flat } tcp dport 443 accept
        oifname { door, flat } tcp sport 443 accept
        iifname { door, flat } drop
        oifname { door, flat } drop"""),
    # A far end with a public address is reached directly; this one is not.
    Network("a symmetric NAT on each side", nat="another port", forward=APART, families="4",
            postrouting="oifname core masquerade fully-random"),
    Network("two NATs in a row that forget after 30 s", nat="the same port", forward=APART, families="4",
            postrouting="oifname core masquerade", prepare=House.add_home_router, then=(("held for 35 s", hold_for(35), 3),)),
    Network("a carrier's NAT that changes the mapping in mid-call", forward=APART, families="4",
            postrouting="oifname core snat ip to 10.2.255.250", prepare=carrier_nat,
            then=(("the mapping has changed", change_the_mapping, 20),)),
    Network("IPv6 alone, with NAT64 and DNS64", url=f"https://{SERVER}", prepare=House.add_nat64),
    Network("IPv4 alone", families="4"),
    Network("IPv6 is dropped", forward="meta nfproto ipv6 drop"),
    Network("IPv6 accepts connections and loses what they carry", forward="meta nfproto ipv6 meta length > 90 drop"),
    Network("MTU 1280 without ICMP", forward="meta l4proto { icmp, icmpv6 } drop; tcp flags syn tcp option maxseg size set 1220",
            prepare=small_mtu),
    # The proxy knows the names; nobody else does.
    Network("an HTTP proxy with a password", "through the relay over TLS", forward=f"""
        iifname {{ door, flat }} ip daddr {PROXY} tcp dport 3128 accept
        oifname {{ door, flat }} ip saddr {PROXY} tcp sport 3128 accept
        iifname {{ door, flat }} drop
        oifname {{ door, flat }} drop""",
            prepare=House.forget_names, core=f'proxy = "http://{PROXY}:3128"\nproxy_user = "door"\nproxy_password_file = "proxy-password"'),
    Network("Wi-Fi that saves power, in bunches of 200 ms", prepare=lambda house: house.go_on_air(200), most_s=5),
    Network("a lease with another address in mid-call",
            then=(("another address", act(House.renew_lease_with_another_address), 15),)),
    Network("a second default route that comes and goes in mid-call",
            forward="iifname mobile ip saddr != 10.4.0.0/24 drop; iifname mobile ip6 saddr != 2001:db8:4::/64 drop",
            then=(("a second way", act(House.add_second_way), 15), ("it has gone", act(House.remove_second_way), 15))),
]


def make_certificates(folder):
    for name, alternative in (("core", f"DNS:core.house.example,IP:{SERVER}"), ("relay", "DNS:relay.house.example"),
                              ("portal", "DNS:portal.hotel.example")):
        sh(f"cd {folder} && openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN={name} "
           f"-addext subjectAltName={alternative} -keyout {name}.key -out {name}.pem")


def start_proxy(programs, folder):
    hashed = sh(f"openssl passwd -apr1 '{PROXY_PASSWORD}'").strip()
    (folder / "proxy-users").write_text(f"door:{hashed}\n")
    # It runs as a user of its own, which must read the files.
    folder.chmod(0o755)
    (folder / "squid.conf").write_text(
        f"http_port {PROXY}:3128\npid_filename none\ncache deny all\naccess_log none\ncache_log /dev/null\n"
        f"coredump_dir /\nhosts_file {folder}/hosts\nshutdown_lifetime 1 seconds\n"
        f"auth_param basic program /usr/lib/squid/basic_ncsa_auth {folder}/proxy-users\n"
        "acl known proxy_auth REQUIRED\nacl tls port 443\nhttp_access deny CONNECT !tls\nhttp_access allow known\n"
        "http_access deny all\n")
    (folder / "hosts").write_text("".join(f"{ipv4} {name}\n" for name, (ipv4, _) in house.NAMES.items()))
    # Its shared memory has the name of the service.
    programs.start(CORE, "squid", "squid", "-N", "-d", "1", "-n", f"callbox{os.getpid()}", "-f", str(folder / "squid.conf"))


def start_servers(programs, folder, callbox):
    """Starts the server, the relay and the proxy. Returns the file with the certificates that stations trust."""
    accounts = "".join(f'[[account]]\nnumber = "{number}"\nname = "{number}"\npassword = "callbox"\n'
                       for number in ("100", "101"))
    (folder / "accounts.toml").write_text(accounts)
    (folder / "turn-secret").write_text(SECRET + "\n")
    make_certificates(folder)
    addresses = [word for address in (RELAY, house.RELAY6, STUN) for word in ("--listening-ip", address, "--relay-ip", address)]
    programs.start(CORE, "relay", "turnserver", "-n", "--no-cli", "--no-dtls", "--realm", "test", "--use-auth-secret",
                   f"--static-auth-secret={SECRET}", *addresses, "--listening-port", "3478", "--tls-listening-port", "443",
                   "--cert", "relay.pem", "--pkey", "relay.key", "--pidfile", "/dev/null", "--log-file", "stdout",
                   "--db", "turn.db")
    name = "relay.house.example"
    urls = [f"stun:{name}:3478", "stun:stun.house.example", f"turn:{name}:3478", f"turn:{name}:3478?transport=tcp", f"turns:{name}:443"]
    sandbox = [callbox, "sandbox", "--listen", "[::]:8443", "--no-station", "--accounts", "accounts.toml", "--tls-cert",
               "core.pem", "--tls-key", "core.key", "--turn-secret-file", "turn-secret", "--host-name",
               "core.house.example"]
    for url in urls:
        sandbox += ["--ice-server", url]
    programs.start(CORE, "server", *sandbox)
    start_proxy(programs, folder)
    trusted = folder / "trusted.pem"
    trusted.write_text((folder / "core.pem").read_text() + (folder / "relay.pem").read_text())
    return trusted


class Station(call.Station):
    """A station in a network namespace."""

    def __init__(self, namespace, folder, number, hertz, tools, trusted, network):
        super().__init__(folder, number, network.url, hertz, tools)
        self.command = ["ip", "netns", "exec", namespace, *self.command]
        text = (self.folder / "callbox.toml").read_text()
        text = text.replace("allow_insecure = true", f'ca_file = "{trusted}"\n{network.core}')
        (self.folder / "callbox.toml").write_text(text.replace('bind = ["127.0.0.1"]\n', ""))
        (self.folder / "proxy-password").write_text(PROXY_PASSWORD + "\n")

    def has_relays(self):
        return (status := self.status()) and status["ice_servers"]["turn_tls"] == 1


def try_network(network, folder, tools, trusted):
    folder = folder / network.kind.replace(" ", "-").replace(",", "")
    folder.mkdir()
    with House(folder, network.families) as building:
        network.prepare(building)
        building.rules(network.forward, network.postrouting, network.prerouting)
        door = Station(DOOR, folder, "100", 400, tools, trusted, network)
        flat = Station(FLAT, folder, "101", 1000, tools, trusted, network)
        try:
            for station in (door, flat):
                station.start()
            for station in (door, flat):
                until("registration", 30, station.registered)
                until("the relays", 10, station.has_relays)
            checked = door.run("check", "--network", "--config", "callbox.toml").stdout
            print(checked, file=door.log, flush=True)
            assert checked.splitlines()[-1] == f"calls: will work {network.way}", checked
            assert not network.nat or f"each server sees {network.nat}" in checked, checked
            took = make_call(network, door, flat)
            print(f"  {network.kind}: up {took:.1f} s after the press, both tones heard; check says: calls will work "
                  f"{network.way}; status says: {status_of(door)}", flush=True)
            for what, change, most_s in network.then:
                change(building, door, flat)
                began = time.monotonic()
                # What is heard is between 1.5 s and 0.5 s old.
                time.sleep(2)
                until(f"both tones again: {what}", most_s, lambda: both_heard(door, flat))
                print(f"    {what}: both tones {time.monotonic() - began - 1:.0f} s later", flush=True)
        except BaseException:
            for number in ("100", "101"):
                print((folder / number / "log").read_text()[-6000:], file=sys.stderr)
            raise
        finally:
            for station in (door, flat):
                station.stop()


def status_of(station):
    """What the station's status says of the session and of the relays."""
    status = station.status()
    assert status["session"]["state"] == "registered", status["session"]
    return "registered, " + (status["ice_servers"]["fault"] or "no fault of a relay")


def both_heard(door, flat):
    return door.heard(1000) > 0.1 and flat.heard(400) > 0.1


def make_call(network, door, flat):
    """Returns the seconds from the press until both ends are connected."""
    began = time.monotonic()
    door.ask("press", "bell")
    until("the call", 20, lambda: door.talks() and flat.talks())
    took = time.monotonic() - began
    assert took < network.most_s, f"{network.kind}: {took:.1f} s"
    until("both tones", 10, lambda: both_heard(door, flat))
    return took


def try_portal(folder, tools, trusted):
    """A captive portal that answers for every server: there is no session, and the station and `check` say why."""
    kind = "a captive portal"
    folder = folder / "portal"
    folder.mkdir()
    with House(folder, "4") as building:
        building.programs.start(ROUTER, "portal", sys.executable, str(pathlib.Path(__file__).parent / "portal.py"),
                                "10.1.0.254", "4443", str(folder.parent / "portal.pem"), str(folder.parent / "portal.key"))
        building.rules("iifname door udp dport != 53 drop", "", "iifname door tcp dport { 80, 443 } dnat ip to 10.1.0.254:4443")
        door = Station(DOOR, folder, "100", 400, tools, trusted, Network(kind))
        door.start()
        try:
            def told():
                reason = ((door.status() or {}).get("session") or {}).get("reason") or ""
                return reason if "captive portal" in reason else None
            reason = until("the reason", 20, told)
            checked = door.run("check", "--network", "--config", "callbox.toml")
            last = checked.stdout.splitlines()[-1]
            assert "CN=portal" in reason, reason
            assert last.startswith("calls: will not work: ") and "captive portal" in last, checked.stdout
            assert checked.returncode == 1, checked.returncode
            # The guest has clicked.
            building.rules()
            until("registration", 90, door.registered)
        except BaseException:
            print((folder / "100" / "log").read_text()[-6000:], *(log.read_text() for log in folder.glob("*.log")), file=sys.stderr)
            raise
        finally:
            door.stop()
    print(f"  {kind}: check says: {last}")


def may_have_namespaces():
    probe = f"callbox-probe-{os.getpid()}"
    made = os.geteuid() == 0 and subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode == 0
    if made:
        sh(f"ip netns delete {probe}")
    return made


def main(callbox, virtcard, kind=""):
    if not may_have_namespaces():
        return print("SKIPPED: the test of networks needs root and network namespaces")
    tools = {"native": callbox, "virtcard": virtcard, "command": [callbox]}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        programs = Programs(folder)
        try:
            house.make_core()
            trusted = start_servers(programs, folder, callbox)
            for network in NETWORKS:
                if kind in network.kind:
                    try_network(network, folder, tools, trusted)
            if kind in "a captive portal":
                try_portal(folder, tools, trusted)
        finally:
            programs.stop()
            house.delete_namespaces([CORE])
    print("networks test passed")


if __name__ == "__main__":
    main(*sys.argv[1:4])
