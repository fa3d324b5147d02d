#!/usr/bin/env bash
# Three people in one group, each in a terminal of their own (tmux), and what they see: the screens in the README.
# Everything is below a temporary directory and is over at the end. Needs tmux and the built programs:
#
#   cargo build --release --workspace --bins && tools/chat/three.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
programs=$PWD/target/release
home=$(mktemp -d)
panes() { tmux -L "fulmar-$$" -f /dev/null "$@"; }
finish() {
    panes kill-server 2>/dev/null || true
    [ -z "${server:-}" ] || kill "$server" 2>/dev/null || true
    rm -rf "$home"
}
trap finish EXIT

"$programs/fulmar" serve --insecure-dev --listen 127.0.0.1:0 --data-dir "$home/data" \
    >"$home/server" 2>"$home/server.log" &
server=$!
until grep -q "ready on" "$home/server"; do sleep 0.1; done
address=$(sed -n 's/^fulmar ready on //p' "$home/server")

for user in 7 8 9; do
    panes new-session -d -s "user$user" -x 72 -y 11 \
        "$programs/fulmar-chat --user $user --server $address --store $home/$user.db"
done
types() { panes send-keys -t "user$1" -l "$2"; }
says() { types "$1" "$2" && panes send-keys -t "user$1" Enter; }
# Until a screen shows this; people take their time, too.
sees() {
    for _ in $(seq 100); do
        if panes capture-pane -p -t "user$1" | grep -q -- "$2"; then
            sleep 0.5
            return
        fi
        sleep 0.1
    done
    echo "user $1 never saw: $2" >&2
    panes capture-pane -p -t "user$1" >&2
    exit 1
}

for user in 7 8 9; do sees $user connected; done
says 7 "/group walk 8 9"
for user in 8 9; do sees $user walk && says $user "/join walk"; done
says 7 "Dunes at ten, who comes?"
for user in 8 9; do sees $user "Dunes at ten"; done
says 8 "Me, with the dog"
sees 7 "with the dog"
says 7 "Bring water"
for user in 8 9; do sees $user "Bring water"; done
sees 7 "read 2"
types 9 "I'll bring t"
sees 7 "9 writes"
for user in 7 8 9; do
    panes capture-pane -p -t "user$user" | sed 's/ *$//'
    echo
done
