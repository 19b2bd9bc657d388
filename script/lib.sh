# shellcheck shell=sh
# Set-up that script/server and script/test share. To be sourced.
set -eu
umask 022

# shellcheck disable=SC2034  # for those that source this
checkout=$(cd "$(dirname "$0")/.." && pwd)
# Debian's Python, not the first one on PATH: a server that gives up root has to be able to read its interpreter,
# and one below somebody's home folder is closed to it.
python=${PYTHON:-/usr/bin/python3}
# The servers are in /usr/sbin, which is not on the PATH of a user without root.
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }

die() { # MESSAGE…: say why, and end
    say "${0##*/}: $*"
    exit 1
}

is_root() { [ "$(id -u)" -eq 0 ]; }

quietly() { # COMMAND…: show what it prints only if it fails
    if ! printed=$("$@" 2>&1); then
        say "$printed"
        die "cannot go on: $* failed"
    fi
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

install_packages() { # PACKAGE…: install those that are missing
    missing=
    for package; do is_installed "$package" || missing="$missing $package"; done
    [ -n "$missing" ] || return 0

    if is_root; then
        sudo=
    elif command -v sudo >/dev/null; then
        sudo=sudo
    else
        die "cannot install Debian packages without root or sudo; as root: apt-get install$missing"
    fi
    say "Installing Debian packages:$missing"
    (
        # Debian starts a server as soon as it is installed. Here stackd starts them, on data of their own, so
        # these may not even come up once. invoke-rc.d and deb-systemd-invoke ask this file; 101 forbids.
        if [ ! -e /usr/sbin/policy-rc.d ]; then
            trap '$sudo rm -f /usr/sbin/policy-rc.d' EXIT
            trap 'exit 130' INT TERM
            printf '#!/bin/sh\nexit 101\n' | $sudo tee /usr/sbin/policy-rc.d >/dev/null
            $sudo chmod 755 /usr/sbin/policy-rc.d
        fi
        quietly $sudo apt-get -q update
        # shellcheck disable=SC2086  # a list of words
        quietly $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $missing
    )
    # Nor at the next boot. What was on the machine before is somebody's, and stays as it is.
    for pair in nginx:nginx mariadb-server:mariadb redis-server:redis-server; do
        case " $missing " in
            *" ${pair%:*} "*) if command -v systemctl >/dev/null; then quietly $sudo systemctl disable "${pair#*:}"; fi ;;
        esac
    done
}

make_virtualenv() { # FOLDER STAMP PIP-ARGUMENT…: quick when it was made with the same stamp
    venv=$1
    stamp="$2 $("$python" -VV)"
    shift 2
    if [ "$(cat "$venv/.stamp" 2>/dev/null)" = "$stamp" ]; then return; fi
    say "Making the virtualenv $venv"
    rm -f "$venv/.stamp"
    quietly "$python" -m venv "$venv"
    quietly "$venv/bin/pip" install --disable-pip-version-check "$@"
    printf '%s\n' "$stamp" >"$venv/.stamp"
}

digest() { # PATH…: one word for the names and contents of all files there
    find "$@" -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1
}
