#!/bin/sh
# A Chromium and a Firefox for the tests of the explorers and of the live pages: those that are there, else Debian's.
missing=""
for names in "chromium chromium-browser google-chrome google-chrome-stable" "firefox-esr firefox"; do
    found=""
    for name in $names; do
        if command -v "$name" >/dev/null; then found=yes; fi
    done
    if [ -z "$found" ]; then missing="$missing ${names%% *}"; fi
done
if [ -z "$missing" ]; then exit 0; fi
if command -v apt-get >/dev/null; then
    if [ "$(id -u)" = 0 ]; then as_root=""; elif sudo -n true 2>/dev/null; then as_root="sudo"; else as_root="no"; fi
    if [ "$as_root" != no ]; then
        echo "Installing from Debian for the tests in a browser:$missing ..."
        $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
    fi
fi
echo "Not here, and cannot be installed from here:$missing. Install Chromium or Chrome, and Firefox (on Debian: apt install chromium firefox-esr), then: make test-browser" >&2
exit 1
