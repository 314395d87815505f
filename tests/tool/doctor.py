"""doctor.py BUNDLE HUB COMMAND [then COMMAND]...: changes an auditor's bundle as one could who has every key of the city's, and makes all else to match, with stock tools.

  leaf WHERE FIELD VALUE        the leaf that has all of WHERE (`kind=held,node=X,seq=2`, the last one that fits) says something else; the log is hashed and signed anew
  drop WHERE                    it is left out
  add WHERE                     a copy of it comes behind it
  copy WHERE BEFORE             a copy of it comes before the leaf BEFORE
  name WHERE FILE               the text that it names by hash is that of FILE
  resign                        hashed and signed only
  commit HISTORY KEY EDIT...    the last commit of HISTORY (NODE/APP, NODE/APP:down, city) made anew and signed with the key in the file KEY; of a community's, the log's leaf too
    manifest:REGEX=TEXT         in its manifest            text:REGEX=TEXT    in the commit's own text, signed like that
    blob:NAME:REGEX=TEXT        in another of its files, whose hash the manifest then names
    file:NAME=FILE              another of its files is that of FILE (`=` alone: gone)
    stale:NAME:REGEX=TEXT       as blob, but the manifest names the old one
    sign-other=TEXT             what is signed is another text
"""
import base64
import hashlib
import os
import re
import subprocess
import sys
import tempfile

bundle, hub = sys.argv[1:3]


def run(*cmd, data=None):
    return subprocess.run(cmd, input=data, stdout=subprocess.PIPE, check=True).stdout


def sha(data):
    return hashlib.sha256(data).hexdigest()


def change(text, edit):
    pattern, to = edit.split(b"=", 1)
    out, n = re.subn(pattern, to, text, count=1, flags=re.M)
    if n != 1 or out == text:
        sys.exit("doctor: %r changes nothing" % edit)
    return out


# ---- the log ----
def read_leaves():
    with open(bundle + "/log/leaves", "rb") as f:
        return [b"format tributary-leaf-1\n" + x for x in f.read().split(b"format tributary-leaf-1\n")[1:]]


def find(leaves, where):
    want = [(" ".join(w.split("=", 1)) + "\n").encode() for w in where.split(",")]
    for i in reversed(range(len(leaves))):
        if all(b"\n" + w in leaves[i] for w in want):
            return i
    sys.exit("doctor: no leaf has %s" % where)


def root(hashes):
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    return hashlib.sha256(b"\1" + root(hashes[:k]) + root(hashes[k:])).digest()


def write_log(leaves):
    with open(bundle + "/log/leaves", "wb") as f:
        f.write(b"".join(leaves))
    with open(bundle + "/checkpoint", "rb") as f:
        lines = f.read().split(b"\n")
    head = root([hashlib.sha256(b"\0" + x).digest() for x in leaves])
    text = b"%s\n%d\n%s\n" % (lines[0], len(leaves), base64.b64encode(head))
    with tempfile.NamedTemporaryFile() as f:
        f.write(text)
        f.flush()
        sig = run("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", hub + "/keys/log.key", "-in", f.name)
    _, name, old = next(x for x in lines if x.startswith("— ".encode())).split(b" ")
    with open(bundle + "/checkpoint", "wb") as f:
        f.write(text + b"\n" + "— ".encode() + name + b" " + base64.b64encode(base64.b64decode(old)[:4] + sig) + b"\n")


def set_leaf(leaves, i, field, value):
    leaves[i] = change(leaves[i], b"^%s .*$=%s %s" % (field.encode(), field.encode(), value.encode()))


# ---- commits ----
class Commit:
    def __init__(self, history):
        self.history = history
        self.file = bundle + ("/city.bundle" if history == "city" else "/histories/%s.bundle" % history.split(":")[0])
        self.ref = "refs/heads/down" if history.endswith(":down") else "refs/heads/main"
        self.tmp = tempfile.TemporaryDirectory()
        self.git("clone", "-q", "--mirror", self.file, self.tmp.name)
        raw = self.git("cat-file", "commit", self.ref)
        self.text = re.sub(rb"^gpgsig .*\n( .*\n)*", b"", raw, count=1, flags=re.M)
        self.files = {}
        for line in self.git("ls-tree", self.ref).decode().splitlines():
            meta, name = line.split("\t")
            self.files[name] = self.git("cat-file", "blob", meta.split()[2])
        self.old = sha(raw)
        self.signed = None
        self.late = []

    def git(self, *args, data=None):
        if args[0] == "clone":
            return subprocess.run(("git",) + args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        return run("git", "-C", self.tmp.name, *args, data=data)

    def edit(self, what):
        kind, rest = what.split(":", 1) if not what.startswith("sign-other=") else ("sign-other", what[11:])
        if kind == "manifest":
            self.files["manifest"] = change(self.files["manifest"], rest.encode())
        elif kind == "text":
            self.late.append(rest.encode())
        elif kind in ("blob", "stale"):
            name, edit = rest.split(":", 1)
            self.files[name] = change(self.files[name], edit.encode())
            self.hashed(name, kind)
        elif kind == "file":
            name, path = rest.split("=", 1)
            self.files.pop(name, None)
            if path:
                with open(path, "rb") as f:
                    self.files[name] = f.read()
                self.hashed(name, kind)
        elif kind == "sign-other":
            self.signed = rest.encode()
        else:
            sys.exit("doctor: what is %s?" % what)

    def hashed(self, name, kind):
        line = b"^blob %s .*$" % re.escape(name).encode()
        if kind != "stale" and re.search(line, self.files["manifest"], flags=re.M):
            self.files["manifest"] = re.sub(line, b"blob %s %s" % (name.encode(), sha(self.files[name]).encode()), self.files["manifest"], flags=re.M)

    def seal(self, key):
        tree = b"".join(b"100644 blob %s\t%s\n" % (self.git("hash-object", "-w", "--stdin", data=v).strip(), k.encode()) for k, v in sorted(self.files.items()))
        self.text = re.sub(b"^tree .*$", b"tree " + self.git("mktree", data=tree).strip(), self.text, count=1, flags=re.M)
        trailer = b"Tributary-Manifest-SHA256: " + sha(self.files["manifest"]).encode()
        self.text = re.sub(rb"^Tributary-Manifest-SHA256: .*$", trailer, self.text, flags=re.M)
        for e in self.late:
            self.text = change(self.text, e)
        head, body = self.text.split(b"\n\n", 1)
        with tempfile.TemporaryDirectory() as d:
            with open(d + "/cert", "wb") as f:
                f.write(self.files.get("signer.pem") or run("openssl", "x509", "-in", hub + "/ca/issuing.crt"))
            sig = b""
            if key != "-":
                der = run("openssl", "cms", "-sign", "-binary", "-outform", "DER", "-md", "sha256", "-nosmimecap", "-nocerts", "-signer", d + "/cert", "-inkey", key, data=self.signed or self.text)
                t = base64.b64encode(der)
                pem = b"".join(t[i:i + 64] + b"\n " for i in range(0, len(t), 64))
                sig = b"\ngpgsig -----BEGIN SIGNED MESSAGE-----\n " + pem + b"-----END SIGNED MESSAGE-----"
        raw = head + sig + b"\n\n" + body
        self.oid = self.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", data=raw).strip().decode()
        self.git("update-ref", self.ref, self.oid)
        refs = self.git("for-each-ref", "--format=%(refname)").decode().split()
        os.unlink(self.file)
        self.git("bundle", "create", "-q", self.file, *refs)
        self.sha = sha(raw)

    def log(self):
        leaves = read_leaves()
        i = find(leaves, "kind=held,commit=" + self.old)
        pem = self.files.get("signer.pem")
        new = {"manifest": sha(self.files["manifest"]), "commit": self.sha, "oid": self.oid}
        if pem:
            new["signer"] = sha(run("openssl", "x509", "-outform", "DER", data=pem))
        for k, v in new.items():
            leaves[i] = re.sub(b"^%s .*$" % k.encode(), b"%s %s" % (k.encode(), v.encode()), leaves[i], flags=re.M)
        write_log(leaves)


def commit(history, key, *edits):
    c = Commit(history)
    for e in edits:
        c.edit(e)
    c.seal(key)
    if c.ref == "refs/heads/main" and history != "city":
        c.log()


def log(what, args):
    leaves = read_leaves()
    i = find(leaves, args[0]) if args else -1
    if what == "leaf":
        set_leaf(leaves, i, args[1], args[2])
    elif what == "drop":
        del leaves[i]
    elif what == "add":
        leaves.insert(i + 1, leaves[i])
    elif what == "copy":
        leaves.insert(find(leaves, args[1]), leaves[i])
    elif what == "name":
        with open(args[1], "rb") as f:
            text = f.read()
        with open(bundle + "/log/named/" + sha(text), "wb") as f:
            f.write(text)
        set_leaf(leaves, i, "sha256", sha(text))
    elif what != "resign":
        sys.exit("doctor: what is %s?" % what)
    write_log(leaves)


def main():
    commands = [[]]
    for arg in sys.argv[3:]:
        if arg == "then":
            commands.append([])
        else:
            commands[-1].append(arg)
    for what, *args in commands:
        if what == "commit":
            commit(*args)
        else:
            log(what, args)


main()
