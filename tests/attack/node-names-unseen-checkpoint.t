#!/bin/sh
# A node signs that it saw a checkpoint which never was: a log of the future, and another log.
. "$(dirname "$0")/../lib/attack.sh"

claim() { # claim ID NAME CHECKPOINT
	cp -a "$dir/$1/state" "$dir/$1/liar"
	ok "$2: forged" "$forge" "$dir/$1/liar" field checkpoint "$3"
	ok "$2: it is signed and in sequence, so it is held" office_git $1 -C "$dir/$1/liar/repo.git" push "$url/$1/community.git" main:refs/heads/main
}
claim $a "of the future" "5000 $(printf %064d 7)"
claim $b "of another log" "5 $(printf %064d 7)"
hub_stop
audit_says "^$a/community:" "the audit names A"
audit_says "it names a checkpoint of 5000 leaves, which was not there yet when the commit was held" "and why"
audit_says "it names a checkpoint of 5 leaves, which is of another log" "and B"
stock_says "$b/community #3 names a checkpoint of 5 leaves, which is of another log" "stock tools name the first"
finish
