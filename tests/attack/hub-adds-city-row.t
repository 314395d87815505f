#!/bin/sh
# The hub puts a row into the city database that no community sent.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
city_write "INSERT INTO demand(_node,id,title,status,n) VALUES('$b','x9','假','reported',1)"
audit_says "demand \[id='x9'\] the city has this row, no history does" "the row is named"
stock_says "$b/community: the rows of table demand in the city are not those that the community signed" "stock tools name community and table"
mended
city_write "CREATE UNIQUE INDEX one ON demand(_node, id, title); CREATE INDEX two ON demand(title); CREATE INDEX three ON demand(abs(n))"
audit_says "the index one on demand, which no program of ours makes, can keep right rows out" "so is an index that would keep right rows out"
audit_says "the index three on demand" "and one that computes"
city_write "DROP INDEX one; DROP INDEX three"
ok "one that only sorts is none" audit_twice
city_write "UPDATE _t_node SET name = CASE node WHEN '$a' THEN '社区 $b' ELSE '社区 $a' END"
audit_says "_t_node the city calls it 社区 $b, the log never did" "names of communities that were exchanged"
city_write "DELETE FROM _t_node"
audit_says "_t_node the city lacks the community's name" "or taken away"
mended

# What lies beside: a city of an application that nobody has, a repository of nobody, a branch that nobody set.
sqlite3 "$dir/hub/city/evil.db" "CREATE TABLE demand(title); INSERT INTO demand VALUES('假')"
mkdir "$dir/hub/repos/evil" && cp -a "$(repo $a)" "$dir/hub/repos/evil/"
git -C "$(repo $b)" update-ref refs/heads/broadcast main
git -C "$dir/hub/city.git" update-ref refs/heads/other main && git -C "$dir/hub/city.git" pack-refs --all
audit_says "city/evil.db is nothing that this hub made" "a stray city"
audit_says "repos/evil/community.git is nothing that this hub made" "a stray repository"
audit_says "community.git/refs/heads/broadcast is nothing that this hub made" "a stray branch"
audit_says "city.git/refs/heads/other is nothing that this hub made" "a packed one"
since_says "city/evil.db is nothing that this hub made" "an audit that goes on names them, too"
finish
