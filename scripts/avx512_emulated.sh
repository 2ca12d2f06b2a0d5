#!/usr/bin/env bash
# Runs the tests of the kernels on an emulated processor that has AVX-512 with VNNI (Bochs, instruction by instruction, from the manuals): for
# machines that have none. It shows bits, not speed.
#
#   scripts/avx512_emulated.sh                     # the tests of the kernel crate with few cases: a quarter of an hour, as root
#   scripts/avx512_emulated.sh it                  # only tests/it; `lib` is what stands in the source
#
# Needs Debian's debootstrap. The first run fetches a small Debian 13 (1 GB on disk) into TAMIS_EMULATOR, by default /var/tmp/tamis-emulator: Bochs 3.0, a
# kernel and what makes a disk that boots. The tests are built here and run there, each as the only program on the machine.
#
# Left out are tests that go through all floats or the widest layers, which would take hours.
set -euo pipefail
cd "$(dirname "$0")/.."

root=${TAMIS_EMULATOR:-/var/tmp/tamis-emulator}
cases=${PROPTEST_CASES:-8}
limit_s=3600
cpu=tigerlake
if [[ ! -e $root/ready ]]; then
    debootstrap --variant=minbase trixie "$root"
    chroot "$root" sh -euc '
        export DEBIAN_FRONTEND=noninteractive
        apt-get install -y --no-install-recommends bochs bochsbios busybox-static cpio grub-common grub-pc-bin mtools xorriso
        # The kernel alone: nothing boots from here.
        cd /tmp
        apt-get download "$(apt-cache depends linux-image-cloud-amd64 | grep -o "linux-image-[0-9].*")"
        dpkg -x linux-image-*.deb /
    '
    touch "$root/ready"
fi

work=$root/emulated
rm -rf "$work"
mkdir -p "$work"/{disk/boot/grub,guest/{bin,lib64,lib,tests,proc,dev,tmp}}
cp "$root/bin/busybox" "$work/guest/bin/"
ln -s busybox "$work/guest/bin/sh"

# The tests, and the libraries that they were linked with.
cargo test --package tamis-kernel --locked --no-run --message-format=json | python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line) if line.startswith("{") else {}
    if message.get("executable") and message["profile"]["test"]:
        kind = message["target"]["kind"][0]
        print("lib" if kind == "lib" else message["target"]["name"], message["executable"])
' > "$work/built"
wanted=("$@")
for name in "${wanted[@]}"; do
    cut -d' ' -f1 "$work/built" | grep -qx "$name" || { echo "avx512: no tests '$name'; there is: $(cut -d' ' -f1 "$work/built" | xargs)" >&2; exit 2; }
done
while read -r name executable; do
    [[ ${#wanted[@]} -eq 0 || " ${wanted[*]} " == *" $name "* ]] || continue
    strip --strip-debug -o "$work/guest/tests/$name" "$executable"
    ldd "$executable" | grep -o '/lib[^ ]*' | while read -r library; do
        cp -L "$library" "$work/guest/$([[ $library == */ld-* ]] && echo lib64 || echo lib)/"
    done
done < "$work/built"

cat > "$work/guest/init" <<INIT
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
exec </dev/ttyS0 >/dev/ttyS0 2>&1
echo "has \$(/bin/busybox grep -oE 'avx512(f|bw|_vnni)\b' /proc/cpuinfo | /bin/busybox sort -u | /bin/busybox xargs)"
export LD_LIBRARY_PATH=/lib PROPTEST_CASES=$cases RUST_TEST_THREADS=1
for test in /tests/*; do
    echo "== \${test#/tests/}"
    "\$test" --skip math:: --skip the_widest && echo "== good" || echo "== BAD"
done
echo "== all done"
/bin/busybox sleep 1000
INIT
chmod +x "$work/guest/init"
cp "$root"/boot/vmlinuz-* "$work/disk/boot/vmlinuz"
# Without what the emulator has no firmware for.
cat > "$work/disk/boot/grub/grub.cfg" <<'GRUB'
set timeout=0
menuentry tests {
    linux /boot/vmlinuz console=ttyS0,115200 loglevel=4 mitigations=off nokaslr lpj=400000 tsc=reliable no_timer_check nowatchdog random.trust_cpu=on panic=1 no5lvl acpi=off rdinit=/init
    initrd /boot/guest
}
GRUB
cat > "$work/bochsrc" <<BOCHS
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, parallel=0, serial=1, iodebug=0
display_library: rfb, options="timeout=0"
memory: guest=1024, host=1024
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: count=1, ips=200000000, reset_on_triple_fault=0, ignore_bad_msrs=1, model=$cpu
clock: sync=none, time0=local
pci: enabled=1, chipset=i440fx
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=/emulated/disk.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=/emulated/serial
log: /emulated/log
panic: action=fatal
BOCHS
echo c > "$work/go"
chroot "$root" sh -c 'cd /emulated/guest && find . | cpio -o -H newc --quiet > ../disk/boot/guest && grub-mkrescue -o /emulated/disk.iso /emulated/disk 2> /emulated/log'

touch "$work/serial"
LTDL_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu/bochs/plugins \
    timeout "$limit_s" chroot "$root" bochs-bin -q -f /emulated/bochsrc -rc /emulated/go > "$work/out" 2>&1 < /dev/null &
emulator=$!
trap 'kill "$emulator" 2> /dev/null || true' EXIT
# The guest cannot switch its machine off.
while kill -0 "$emulator" 2> /dev/null && ! grep -aq '^== all done\|Kernel panic' "$work/serial"; do sleep 2; done
tr -d '\r' < "$work/serial" | grep -aE '^has |^== |^test |panicked|assert' || true
grep -aq '^has .*avx512_vnni.*avx512f' "$work/serial" || { echo "avx512: the emulator did not get that far; see $work/serial and $work/log" >&2; exit 1; }
grep -aq '^== all done' "$work/serial" && ! grep -aq '^== BAD' "$work/serial"
