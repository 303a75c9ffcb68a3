#!/usr/bin/env bash
# Looks at the examples of docs/fleet: ansible-lint, the schema of cloud-init, and what callbox says of their
# configurations.
#
#   fleet.sh CALLBOX
set -euo pipefail
callbox=$(realpath "$1")
root=$(cd "$(dirname "$0")/../.." && pwd)
cache=$HOME/.cache/callbox-fleet/1
if [ ! -e "$cache/installed" ]; then
    rm -rf "$cache" && mkdir -p "$cache"
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        ansible-core==2.18.6 ansible-lint==25.6.1 jsonschema==4.24.0 PyYAML==6.0.2
    # Only its schema is wanted: installed, cloud-init would configure this machine.
    (cd "$cache" && apt-get download -qq cloud-init && dpkg-deb --extract cloud-init_*.deb cloud-init)
    touch "$cache/installed"
fi
export PATH=$cache/venv/bin:$PATH ANSIBLE_HOME=$cache/ansible

umask 077
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp -r "$root/docs/fleet/ansible" "$scratch/ansible"
cd "$scratch/ansible"
ansible-lint --offline --strict --profile production -q site.yml inventory.yml roles/callbox roles/callbox/*/*.yml
ansible-playbook --syntax-check -i inventory.yml site.yml >/dev/null

python - "$root" "$cache" "$scratch" "$callbox" <<'PYTHON'
import glob, json, pathlib, subprocess, sys
import jinja2, jsonschema, yaml

root, cache, scratch, callbox = sys.argv[1:]
text = pathlib.Path(root, "docs/fleet/cloud-init.yaml").read_text()
assert text.startswith("#cloud-config\n")
schema = glob.glob(f"{cache}/cloud-init/**/schema-cloud-config-v1.json", recursive=True)[0]
data = yaml.safe_load(text)
jsonschema.validate(data, json.loads(pathlib.Path(schema).read_text()))

stick = pathlib.Path(scratch, "stick.toml")
stick.write_text(next(file["content"] for file in data["write_files"] if "provision" in file["path"]))
subprocess.run([callbox, "provision", "--dry-run", stick], check=True, stdout=subprocess.DEVNULL)

role = pathlib.Path(root, "docs/fleet/ansible/roles/callbox")
variables = yaml.safe_load((role / "defaults/main.yml").read_text())
variables |= {"callbox_identifier": "front-12", "callbox_http_tokens": {"home": "0123456789abcdef"}}
template = jinja2.Template((role / "templates/callbox.toml.j2").read_text(), trim_blocks=True)
(pathlib.Path(scratch) / "secrets").mkdir()
for name in ["config-token", "http"]:
    pathlib.Path(scratch, "secrets", name).write_text("0123456789abcdef\n")
config = pathlib.Path(scratch, "callbox.toml")
config.write_text(template.render(variables).replace("/etc/callbox/", ""))
subprocess.run([callbox, "check", "--config", config], check=True, stdout=subprocess.DEVNULL)
PYTHON
echo "docs/fleet: all passed"
