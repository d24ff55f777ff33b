#!/bin/sh
# A Chromium for the tests of the explorers: the one that is there, else Debian's.
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then exit 0; fi
done
if command -v apt-get >/dev/null; then
    if [ "$(id -u)" = 0 ]; then as_root=""; elif sudo -n true 2>/dev/null; then as_root="sudo"; else as_root="no"; fi
    if [ "$as_root" != no ]; then
        echo "Installing Debian's chromium for the tests of the explorers ..."
        $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq chromium >/dev/null && exit 0
    fi
fi
echo "No Chromium here, and it cannot be installed from here. Install Chromium or Chrome (on Debian: apt install chromium), then: make test-browser" >&2
exit 1
