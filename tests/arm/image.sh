#!/usr/bin/env bash
# Builds the ARM machine: a Debian 12 root for arm64 with systemd, Debian's own kernel, and the initrd that starts it.
# qemu-system-aarch64 runs it (system.py).
#
#   image.sh [CACHE]     default CACHE: $HOME/.cache/callbox-arm-system; keeps what is already there
#
# Packages are unpacked here and configured inside the emulated machine, so that nothing of the host's kernel is
# needed. The first use takes about 6 minutes; later ones take no time.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${1:-$HOME/.cache/callbox-arm-system}
if [ -s "$cache/root.img" ]; then exit 0; fi
mkdir -p "$cache"
work=$(mktemp -d "$cache/work.XXXX")
trap 'rm -rf "$work"' EXIT
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v -e security -e cloud | head -1)
keys=/usr/share/keyrings/debian-archive-keyring.gpg
source="deb [signed-by=$keys] $mirror bookworm main"

# The root: its packages are unpacked, and kept for the configuration.
mmdebstrap --quiet --mode=root --arch=arm64 --variant=extract --skip=cleanup/apt \
  --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include='?essential|?priority(required)' \
  --include=systemd,systemd-sysv,udev,dbus,kmod,iproute2,alsa-utils,libasound2,ca-certificates,procps \
  bookworm "$work/root" "$source"
rm -rf "$work"/root/var/lib/apt/lists/*

# Debian's kernel, with the modules for a disk (to start) and for a sound card (for the tests).
mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/kernel"
echo "$source" >"$work/apt/sources.list"
options=(-o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/apt/lists"
         -o Dir::Cache="$work/apt/cache" -o Acquire::Languages=none -o APT::Architecture=arm64 -o APT::Architectures::=arm64)
apt-get "${options[@]}" update >/dev/null
kernel=$(apt-cache "${options[@]}" depends linux-image-arm64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -1)
(cd "$work/kernel" && apt-get "${options[@]}" download "$kernel" busybox-static >/dev/null)
for package in "$work"/kernel/*.deb; do dpkg -x "$package" "$work/kernel/x"; done
version=${kernel#linux-image-}
cp "$work/kernel/x/boot/vmlinuz-$version" "$work/linux"
modules=lib/modules/$version
depmod -b "$work/kernel/x" "$version"

# Prints the files of these modules and of all that they depend on, in the order in which they can be loaded.
closure() {
  for name in "$@"; do
    line=$(grep -E "/$name\.ko:" "$work/kernel/x/$modules/modules.dep")
    files=${line/:/ }
    tac -s ' ' <<<"$files " | tr -s ' \n' '\n'
  done | grep . | awk '!seen[$0]++'
}

initrd=$work/initrd
mkdir -p "$initrd"/{bin,proc,sys,dev,root,modules}
cp "$work/kernel/x/bin/busybox" "$initrd/bin/busybox"
closure virtio_mmio virtio_pci virtio_blk crc32c_generic ext4 >"$initrd/list"
while read -r file; do cp "$work/kernel/x/$modules/$file" "$initrd/modules/"; done <"$initrd/list"
install -m 755 "$here/init.sh" "$initrd/init"
(cd "$initrd" && find . | cpio -o -H newc --quiet) >"$work/initrd.cpio"

for file in $(closure snd-aloop configfs); do
  install -D -m 644 "$work/kernel/x/$modules/$file" "$work/root/$modules/$file"
done
cp "$work/kernel/x/$modules"/modules.{order,builtin,builtin.modinfo} "$work/root/$modules/"
depmod -b "$work/root" "$version"
device=$here/../device
install -D -m 755 "$device/console.sh" "$work/root/usr/local/bin/device-console"
install -D -m 644 "$device/console.service" "$work/root/etc/systemd/system/device-console.service"
mkdir -p "$work/root/etc/systemd/system/multi-user.target.wants"
ln -sf ../device-console.service "$work/root/etc/systemd/system/multi-user.target.wants/device-console.service"
install -m 755 "$here/configure.sh" "$work/root/configure"
truncate -s 900M "$work/root.img"
mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$work/root" -F "$work/root.img"

# The first start configures the packages and ends.
timeout 1500 qemu-system-aarch64 -machine virt -cpu cortex-a72 -smp 2 -m 1024 -display none -monitor none -nic none \
  -serial "file:$work/first.log" -no-reboot -kernel "$work/linux" -initrd "$work/initrd.cpio" -append "console=ttyAMA0 quiet" \
  -drive "file=$work/root.img,format=raw,if=virtio" || true
if ! grep -q CONFIGURED "$work/first.log"; then
  tail -30 "$work/first.log" >&2
  echo "$0: the packages could not be configured in the emulated machine" >&2
  exit 1
fi
mv "$work/linux" "$cache/linux"
mv "$work/initrd.cpio" "$cache/initrd"
mv "$work/root.img" "$cache/root.img"
ls -la "$cache"
