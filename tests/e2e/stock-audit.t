#!/bin/sh
# What an auditor takes away is proven by the commands of its own README, with stock tools alone: nothing of ours is in the path.
. "$(dirname "$0")/../lib/attack.sh"
ok "the audit writes the bundle" hub audit --bundle "$dir/b"
refuses 2 "exists" "and not over another" hub audit --bundle "$dir/b"
stock() { # the README's own commands
	sed -n '/^```sh$/,/^```$/p' "$dir/b/README.md" | grep -v '^```' >"$dir/steps"
	(cd "$dir/b" && env -i PATH=/usr/bin:/bin HOME="$dir" GIT_CONFIG_NOSYSTEM=1 sh "$dir/steps")
}
none_of_ours() { ! grep -q tributary-hub "$dir/steps" && ! grep -q tributary-agent "$dir/steps"; }
proven() { stock && [ "$(stock | tail -n 1)" = PROVEN ]; }
ok "its README's commands prove it" proven
ok "without a program of ours" none_of_ours
same_commands() { sed -n '/^```sh$/,/^```$/p' "$dir/b/README.zh-CN.md" >"$dir/zh" && sed -n '/^```sh$/,/^```$/p' "$dir/b/README.md" | cmp - "$dir/zh"; }
ok "the Chinese README has the same commands" same_commands
cp "$dir/$a/state/checkpoint" "$dir/b/older-checkpoint"
ok "a checkpoint that a community kept fits" proven
finger() { grep -q "^ca $(openssl x509 -in "$dir/b/certs/root.crt" -outform DER | sha256sum | cut -c1-64)" "$dir/$a/slip"; }
ok "the fingerprint is that of the slips" finger
keys() { ! grep -rqa "PRIVATE KEY" "$dir/b"; }
ok "no private key is in it" keys
ok "the hub goes on" agent $a sync
ok "while it serves, the bundle is one moment" hub audit --bundle "$dir/b2"
finish
