"""Debian's Prometheus watches a station whose status page is on the network: TLS with a certificate that the station has
made, and a token. A validator reads the description of its API.

    prometheus.py CALLBOX PYTHON      what openapi.sh prints
"""
import json
import pathlib
import subprocess
import sys

from peers import STATION, TOKEN, House, free_port, request, step, until

ROOT = pathlib.Path(__file__).resolve().parents[2]


def curl(house, port, path, *options):
    """The status and the body, by a client that trusts the station's CA alone."""
    ca = house.folder / "data/callbox/sandbox/http/ca.pem"
    command = ["curl", "-s", "--cacert", ca, "-w", "\n%{http_code}", *options, f"https://localhost:{port}{path}"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, (done.returncode, done.stderr)
    body, status = done.stdout.rsplit("\n", 1)
    return int(status), body


def reached(house, port):
    step("off loopback there is TLS alone, and a token")
    until("the status page", lambda: house.status()["http"]["ready"])
    assert house.command("healthy") == "healthy\n"
    assert curl(house, port, "/healthz")[0] == 200
    assert curl(house, port, "/metrics")[0] == 401
    plain = subprocess.run(["curl", "-s", "-m", "5", f"http://127.0.0.1:{port}/healthz"], capture_output=True, timeout=20)
    assert plain.returncode != 0, plain.stdout


def metrics(house, port):
    step("promtool finds nothing to complain of in the metrics")
    bearer = f"Authorization: Bearer {TOKEN}"
    house.command("press", "bell")
    until("the end of the call", lambda: house.status()["recent_calls"])
    status, text = curl(house, port, "/metrics", "-H", bearer)
    assert status == 200
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=20)
    assert checked.returncode == 0 and not checked.stderr, checked.stderr
    for line in ['callbox_presses_total{button="bell"} 1', "callbox_session_up 1", 'callbox_press_to_request_seconds_count 0',
                 'callbox_calls_total{direction="outgoing",result="not_reachable"} 1']:
        assert line in text.splitlines(), (line, text)
    assert '"100"' not in text, "a telephone number is a label"
    return text


def described(house, port, python):
    step("a validator finds nothing to complain of in the description of the API")
    status, text = curl(house, port, "/api/openapi.json", "-H", f"Authorization: Bearer {TOKEN}")
    assert status == 200
    file = house.file("openapi.json", text)
    subprocess.run([python, "-m", "openapi_spec_validator", file], check=True, capture_output=True, timeout=60)


def scraped(house, port):
    step("Prometheus scrapes it")
    web = free_port()
    house.file("prometheus.yml", f"""
global: {{ scrape_interval: 1s }}
rule_files: [{ROOT}/docs/alerts.yml]
scrape_configs:
  - job_name: callbox
    scheme: https
    authorization: {{ credentials_file: {house.file("scrape-token", TOKEN)} }}
    tls_config: {{ ca_file: {house.folder}/data/callbox/sandbox/http/ca.pem }}
    file_sd_configs: [{{ files: [{house.folder}/stations.json] }}]
""")
    house.file("stations.json", json.dumps([{"targets": [f"localhost:{port}"], "labels": {"site": "test"}}]))
    house.process(["prometheus", f"--config.file={house.folder}/prometheus.yml", f"--storage.tsdb.path={house.folder}/tsdb",
                   f"--web.listen-address=127.0.0.1:{web}", "--log.level=warn"], "prometheus")

    def value(query):
        status, answer = request(f"http://127.0.0.1:{web}/api/v1/query?query={query}")
        assert status == 200
        return [float(result["value"][1]) for result in answer["data"]["result"]]

    until("the scrape", lambda: value("up") == [1.0], 30)
    until("the session", lambda: value("callbox_session_up") == [1.0])
    assert value("callbox_presses_total") == [1.0]


def rules(text):
    step("promtool checks and tries the alert rules; the dashboard asks for metrics that there are")
    alerts = ROOT / "docs/alerts.yml"
    subprocess.run(["promtool", "check", "rules", alerts], check=True, capture_output=True, timeout=20)
    known = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE")}
    known |= {"callbox_press_to_request_seconds_bucket", "callbox_http_refused_total", "up"}
    asked = set()
    dashboard = json.loads((ROOT / "docs/grafana.json").read_text())
    for panel in dashboard["panels"]:
        asked |= names(target["expr"] for target in panel["targets"])
    asked |= names(line.split("expr:", 1)[-1] for line in alerts.read_text().splitlines() if "callbox_" in line)
    assert asked and asked <= known, asked - known


def names(expressions):
    """The metrics in some expressions."""
    words = "".join(character if character.isalnum() or character == "_" else " " for text in expressions for character in text + " ")
    return {word for word in words.split() if word.startswith(("callbox_", "process_"))}


def tried(house):
    copy = house.file("alerts-under-test.yml", (ROOT / "docs/alerts.yml").read_text())
    test = house.file("alerts-test.yml", pathlib.Path(__file__).with_name("alerts.yml").read_text())
    done = subprocess.run(["promtool", "test", "rules", test], cwd=copy.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def main():
    with House(sys.argv[1]) as house:
        port = free_port()
        house.environment["XDG_DATA_HOME"] = str(house.folder / "data")
        house.station(STATION + f'http = "0.0.0.0:{port}"\nhttp_token_file = "token"\n')
        reached(house, port)
        text = metrics(house, port)
        described(house, port, sys.argv[2])
        scraped(house, port)
        rules(text)
        tried(house)
    step("Prometheus: all passed")


main()
