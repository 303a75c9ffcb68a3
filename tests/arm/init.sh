#!/bin/busybox sh
# Starts the ARM machine from its disk; at the first start it configures the packages there and ends.
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
while read -r file; do insmod "/modules/${file##*/}"; done </list
for _ in $(seq 100); do [ -b /dev/vda ] && break; sleep 0.1; done
mount -t ext4 /dev/vda /root || exec sh
if [ -x /root/configure ]; then
  mount -t proc none /root/proc
  mount -t devtmpfs none /root/dev
  chroot /root /configure && rm /root/configure && echo CONFIGURED
  umount /root/dev /root/proc
  umount /root
  poweroff -f
fi
exec switch_root /root /sbin/init
